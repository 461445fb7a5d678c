//! Drops events of noisy releases. Configuration: `releases`, a list of texts.

const std = @import("std");
const tamis = @import("tamis");

pub const Config = struct { releases: []const []const u8 };

config: Config,

pub fn init(config: Config) !@This() {
    return .{ .config = config };
}

pub fn filter(self: *@This(), event: tamis.Event) tamis.Verdict {
    const release = event.text("release") orelse return .keep;
    for (self.config.releases) |noisy| {
        if (tamis.eql(noisy, release)) return .drop("noisy-release");
    }
    return .keep;
}

test "noisy releases go" {
    const verdicts = try tamis.testing.filter(@This(),
        \\{"releases": ["1.0"]}
    ,
        \\[{"release": "1.0"}, {"release": "1.1"}, {}]
    );
    const want = [_]tamis.Verdict{ .drop("noisy-release"), .keep, .keep };
    try std.testing.expectEqualDeep(@as([]const tamis.Verdict, &want), verdicts);
}

test "mistakes are named" {
    try std.testing.expectEqualStrings("releases: missing", try tamis.testing.refusal(@This(), "{}"));
    const wrong = try tamis.testing.refusal(@This(), "{\"releases\": [\"1.0\", 2]}");
    try std.testing.expectEqualStrings("releases[1]: a number, where a text is expected", wrong);
}
