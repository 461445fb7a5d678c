//! A filter that looks at three texts of every event: the yardstick for what a plugin in Zig costs.

const tamis = @import("tamis");

pub fn filter(_: *@This(), event: tamis.Event) tamis.Verdict {
    return if (is(event, "release", "0.0.0") or is(event, "environment", "sandbox") or is(event, "transaction", "/never"))
        .drop("bench")
    else
        .keep;
}

inline fn is(event: tamis.Event, path: []const u8, value: []const u8) bool {
    return tamis.eql(event.text(path) orelse return false, value);
}
