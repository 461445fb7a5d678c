//! Two kinds of memory: of the current call, and of the instance.
//!
//! What the host hands over and what the SDK makes of it is of the call. It is forgotten as a whole when the next call begins, and the
//! room for it is kept: after a few calls nothing is allocated any more.

const std = @import("std");
const builtin = @import("builtin");

const heap = if (builtin.cpu.arch.isWasm()) std.heap.wasm_allocator else std.heap.page_allocator;

var call_arena: std.heap.ArenaAllocator = .init(heap);
var lasting_arena: std.heap.ArenaAllocator = .init(heap);

pub const of_call: std.mem.Allocator = call_arena.allocator();
/// A real allocator in a component. In tests nobody frees what an instance holds, so there it is an arena.
pub const lasting: std.mem.Allocator = if (builtin.cpu.arch.isWasm()) heap else lasting_arena.allocator();

pub fn forgetCall() void {
    // Without the room that was there before, the next call allocates: slower, and no mistake.
    _ = call_arena.reset(.retain_capacity);
}

/// In tests: what lies in the memory of the call stays, for the test to look at.
pub fn keepCall() void {
    call_arena.state = .init;
}

/// There is nothing that a plugin could do without memory.
pub fn ok(result: anytype) @typeInfo(@TypeOf(result)).error_union.payload {
    return result catch @panic("out of memory");
}
