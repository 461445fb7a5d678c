//! The host on the author's machine: `tamis plugin columns FILE --pull ... --raw`, one process for each pull, so that paths and
//! selectors mean exactly what they mean in production.

const std = @import("std");
const builtin = @import("builtin");
const memory = @import("memory.zig");
const shapes = @import("host.zig");
const Level = @import("log.zig").Level;

comptime {
    if (builtin.cpu.arch.endian() != .little) @compileError("tests read the host's columns on a little-endian machine");
}

/// The file with the events; null while there is no batch.
pub var events_file: ?[]const u8 = null;

pub fn length() u32 {
    var answer = pull("len", "");
    return answer.list(u32)[0];
}

pub fn strings(path: []const u8) shapes.Texts {
    var answer = pull("strings", path);
    return answer.filled(shapes.Texts);
}

pub fn json(path: []const u8) shapes.Texts {
    var answer = pull("json", path);
    return answer.filled(shapes.Texts);
}

pub fn numbers(path: []const u8) shapes.Reals {
    var answer = pull("numbers", path);
    return answer.filled(shapes.Reals);
}

pub fn counts(path: []const u8) []const u32 {
    var answer = pull("counts", path);
    return answer.list(u32);
}

/// All in one process: ids are of one.
pub fn leaves(selectors: []const []const u8) []const shapes.Leaves {
    if (events_file == null) return &.{};
    const pulls = memory.ok(memory.of_call.alloc([]const u8, selectors.len));
    for (selectors, pulls) |selector, *text| text.* = memory.ok(std.mem.concat(memory.of_call, u8, &.{ "leaves:", selector }));
    var answer = columns(pulls);
    const all = memory.ok(memory.of_call.alloc(shapes.Leaves, selectors.len));
    for (all) |*one| {
        answer.status();
        one.* = answer.filled(shapes.Leaves);
    }
    return all;
}

pub fn log(level: Level, message: []const u8) void {
    std.debug.print("{s}: {s}\n", .{ @tagName(level), message });
}

fn pull(op: []const u8, path: []const u8) Answer {
    var answer = columns(&.{memory.ok(std.mem.concat(memory.of_call, u8, &.{ op, ":", path }))});
    answer.status();
    return answer;
}

fn columns(pulls: []const []const u8) Answer {
    const file = events_file orelse @panic("there is no batch now: events are there when the plugin is asked for its answer");
    const environ = std.testing.environ;
    const binary = environ.getPosix("TAMIS") orelse "tamis";
    var argv: std.ArrayList([]const u8) = .empty;
    memory.ok(argv.appendSlice(memory.of_call, &.{ binary, "plugin", "columns", file, "--raw" }));
    for (pulls) |one| memory.ok(argv.appendSlice(memory.of_call, &.{ "--pull", one }));
    const ran = std.process.run(memory.of_call, std.testing.io, .{ .argv = argv.items }) catch |err| std.debug.panic(
        "{s} can not be run ({s}): put the tamis binary on PATH, or name it in the variable TAMIS",
        .{ binary, @errorName(err) },
    );
    if (ran.stdout.len == 0) std.debug.panic("tamis plugin columns gave no columns: {s}", .{ran.stderr});
    return .{ .left = ran.stdout };
}

const Answer = struct {
    left: []const u8,

    /// Where the host would end the call with a trap, so does this.
    fn status(self: *Answer) void {
        if (self.take(1)[0] == 0) return;
        std.debug.panic("the host ends the call: {s}", .{self.list(u8)});
    }

    fn list(self: *Answer, comptime T: type) []const T {
        const len = std.mem.readInt(u32, self.take(4)[0..4], .little);
        const values = memory.ok(memory.of_call.alloc(T, len));
        @memcpy(std.mem.sliceAsBytes(values), self.take(len * @sizeOf(T)));
        return values;
    }

    /// The fields of `T` are the lists in their order.
    fn filled(self: *Answer, comptime T: type) T {
        var made: T = undefined;
        inline for (comptime std.meta.fieldNames(T), comptime std.meta.fieldTypes(T)) |name, Field| {
            @field(made, name) = self.list(std.meta.Elem(Field));
        }
        return made;
    }

    fn take(self: *Answer, len: usize) []const u8 {
        if (self.left.len < len) @panic("tamis plugin columns ended too early");
        defer self.left = self.left[len..];
        return self.left[0..len];
    }
};
