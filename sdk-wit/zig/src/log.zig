//! The host's log. Lines carry the stage and its generation, are cut at 4 KiB, and limited in number.

const std = @import("std");
const host = @import("host.zig").host;

pub const Level = enum(u32) { err, warn, info, debug };

/// Something failed that an operator should look at.
pub fn err(comptime format: []const u8, args: anytype) void {
    write(.err, format, args);
}

/// Something is odd, and goes on.
pub fn warn(comptime format: []const u8, args: anytype) void {
    write(.warn, format, args);
}

/// Something worth knowing, once in a while.
pub fn info(comptime format: []const u8, args: anytype) void {
    write(.info, format, args);
}

/// Something for the author.
pub fn debug(comptime format: []const u8, args: anytype) void {
    write(.debug, format, args);
}

fn write(level: Level, comptime format: []const u8, args: anytype) void {
    // The host cuts lines here too.
    var line: [4096]u8 = undefined;
    var writer: std.Io.Writer = .fixed(&line);
    writer.print(format, args) catch {};
    host.log(level, writer.buffered());
}

/// `std.log` of the author and of libraries.
pub fn ofStd(
    comptime level: std.log.Level,
    comptime scope: @EnumLiteral(),
    comptime format: []const u8,
    args: anytype,
) void {
    const of_host: Level = switch (level) {
        .err => .err,
        .warn => .warn,
        .info => .info,
        .debug => .debug,
    };
    const prefix = if (scope == .default) "" else "(" ++ @tagName(scope) ++ ") ";
    write(of_host, prefix ++ format, args);
}

/// A panic says what it is in the log, then the call ends with a trap. The host finds the event that did it.
pub fn panic(message: []const u8, _: ?usize) noreturn {
    @branchHint(.cold);
    host.log(.err, message);
    @trap();
}
