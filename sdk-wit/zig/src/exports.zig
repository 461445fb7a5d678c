//! The exports of a component, by what the plugin is.

const std = @import("std");
const answers = @import("answers.zig");
const config = @import("config.zig");
const memory = @import("memory.zig");
const List = @import("host_wasm.zig").List;

/// Exports the functions of the interface for a plugin.
pub fn of(comptime Plugin: type) void {
    const kind = comptime answers.kindOf(Plugin);
    const interface = switch (kind) {
        .filter => "filtering",
        .sample => "sampling",
        .scrub => "scrubbing",
        .fingerprint => "fingerprinting",
    };
    const prefix = "tamis:plugin/" ++ interface ++ "@0.1.0#";
    const instance = Instance(Plugin);
    @export(&instance.init, .{ .name = prefix ++ "init" });
    @export(&instance.call, .{ .name = prefix ++ @tagName(kind) });
    @export(&realloc, .{ .name = "cabi_realloc" });
}

/// The host puts what it gives into the memory of the call. The configuration comes before `init`, which does not forget it.
fn realloc(old: ?[*]u8, old_len: usize, alignment: usize, len: usize) callconv(.c) ?[*]u8 {
    if (len == 0) return @ptrFromInt(alignment);
    const made = memory.of_call.rawAlloc(len, .fromByteUnits(alignment), @returnAddress()) orelse @panic("out of memory");
    if (old_len > 0) @memcpy(made[0..@min(old_len, len)], old.?[0..@min(old_len, len)]);
    return made;
}

fn Instance(comptime Plugin: type) type {
    return struct {
        var plugin: Plugin = undefined;
        var result: extern struct { is_error: u8, message: List } = undefined;
        var lists: [7]List = undefined;

        fn init(json: [*]const u8, len: usize) callconv(.c) *const anyopaque {
            result.is_error = 0;
            plugin = answers.make(Plugin, json[0..len]) catch {
                result.is_error = 1;
                result.message = .of(config.refusal);
                return &result;
            };
            return &result;
        }

        fn call() callconv(.c) *const anyopaque {
            memory.forgetCall();
            const answer = answers.ask(Plugin, &plugin);
            inline for (comptime std.meta.fieldNames(@TypeOf(answer)), 0..) |name, i| {
                lists[i] = flat(@field(answer, name));
            }
            return &lists;
        }
    };
}

/// Texts are lists of lists; everything else is flat already.
fn flat(values: anytype) List {
    if (@TypeOf(values) != []const []const u8) return .of(values);
    const texts = memory.ok(memory.of_call.alloc(List, values.len));
    for (values, texts) |value, *text| text.* = .of(value);
    return .of(texts);
}
