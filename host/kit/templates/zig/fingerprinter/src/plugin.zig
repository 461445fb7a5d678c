//! Groups errors by the type of the last exception and the function that raised it. Configuration: `kind`, how the fingerprint is called
//! (`app`).

const std = @import("std");
const tamis = @import("tamis");

pub const Config = struct { kind: []const u8 = "app" };

config: Config,

pub fn init(config: Config) !@This() {
    return .{ .config = config };
}

pub fn fingerprint(self: *@This(), event: tamis.Event, out: *tamis.Fingerprints) void {
    const exception = event.exceptions().last() orelse return;
    const frame = exception.frames().last() orelse return;
    const kind = exception.text("type") orelse return;
    const function = frame.text("function") orelse return;
    out.push(self.config.kind, &tamis.hashOf(&.{ kind, function }));
}

test "type and function decide" {
    const found = try tamis.testing.fingerprint(@This(), "{}",
        \\[{"exception": {"values": [{"type": "A"}, {"type": "E", "value": "1", "stacktrace": {"frames": [{"function": "f"}, {"function": "g"}]}}]}},
        \\ {"exception": {"values": [{"type": "E", "value": "2", "stacktrace": {"frames": [{"function": "g"}]}}]}},
        \\ {"exception": {"values": [{"type": "E", "stacktrace": {"frames": [{"function": "f"}]}}]}},
        \\ {"exception": {"values": [{"type": "E"}]}}]
    );
    try std.testing.expectEqualDeep(found[0], found[1]);
    try std.testing.expect(!std.mem.eql(u8, found[0][0].fingerprint, found[2][0].fingerprint));
    try std.testing.expectEqualStrings("app", found[0][0].kind);
    try std.testing.expectEqual(0, found[3].len);
}

test "mistakes are named" {
    const wrong = try tamis.testing.refusal(@This(), "{\"kind\": 5}");
    try std.testing.expectEqualStrings("kind: a number, where a text is expected", wrong);
}
