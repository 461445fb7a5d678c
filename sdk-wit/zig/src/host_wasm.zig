//! The host as a component has it: the imports of the canonical ABI. All lists are flat, so that they are pointers and lengths in our
//! memory, for which the host asks by `cabi_realloc`.

const std = @import("std");
const answers = @import("answers.zig");
const memory = @import("memory.zig");
const shapes = @import("host.zig");
const Level = @import("log.zig").Level;

/// A list as the interface lays it out.
pub const List = extern struct {
    ptr: usize,
    len: usize,

    pub fn of(items: anytype) List {
        // The pointer of an empty slice may be anything, and the host wants one that is aligned and within the memory.
        return .{ .ptr = if (items.len == 0) 8 else @intFromPtr(items.ptr), .len = items.len };
    }

    fn slice(list: List, comptime T: type) []const T {
        if (list.len == 0) return &.{};
        return @as([*]const T, @ptrFromInt(list.ptr))[0..list.len];
    }
};

const import = struct {
    extern "tamis:plugin/batch@0.1.0" fn len() u32;
    extern "tamis:plugin/batch@0.1.0" fn strings(path: [*]const u8, len: usize, out: *[3]List) void;
    extern "tamis:plugin/batch@0.1.0" fn numbers(path: [*]const u8, len: usize, out: *[2]List) void;
    extern "tamis:plugin/batch@0.1.0" fn json(path: [*]const u8, len: usize, out: *[3]List) void;
    extern "tamis:plugin/batch@0.1.0" fn counts(path: [*]const u8, len: usize, out: *List) void;
    extern "tamis:plugin/batch@0.1.0" fn leaves(selector: [*]const u8, len: usize, out: *[9]List) void;
    extern "tamis:plugin/log@0.1.0" fn log(level: u32, message: [*]const u8, len: usize) void;
};

pub fn length() u32 {
    return import.len();
}

pub fn strings(path: []const u8) shapes.Texts {
    var lists: [3]List = undefined;
    import.strings(path.ptr, path.len, &lists);
    return filled(shapes.Texts, &lists);
}

pub fn json(path: []const u8) shapes.Texts {
    var lists: [3]List = undefined;
    import.json(path.ptr, path.len, &lists);
    return filled(shapes.Texts, &lists);
}

pub fn numbers(path: []const u8) shapes.Reals {
    var lists: [2]List = undefined;
    import.numbers(path.ptr, path.len, &lists);
    return filled(shapes.Reals, &lists);
}

pub fn counts(path: []const u8) []const u32 {
    var list: List = undefined;
    import.counts(path.ptr, path.len, &list);
    return list.slice(u32);
}

/// The leaves of each selector; the same value has the same id in all of them.
pub fn leaves(selectors: []const []const u8) []const shapes.Leaves {
    const all = memory.ok(memory.of_call.alloc(shapes.Leaves, selectors.len));
    for (selectors, all) |selector, *one| {
        var lists: [9]List = undefined;
        import.leaves(selector.ptr, selector.len, &lists);
        one.* = filled(shapes.Leaves, &lists);
    }
    return all;
}

pub fn log(level: Level, message: []const u8) void {
    import.log(@backingInt(level), message.ptr, message.len);
}

/// The fields of `T` are the lists in their order.
fn filled(comptime T: type, lists: []const List) T {
    var made: T = undefined;
    inline for (comptime std.meta.fieldNames(T), comptime std.meta.fieldTypes(T), 0..) |name, Field, i| {
        @field(made, name) = lists[i].slice(std.meta.Elem(Field));
    }
    return made;
}
