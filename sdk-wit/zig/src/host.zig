//! The current batch as the host gives it: over the interface in a component, by the `tamis` binary in tests.

const builtin = @import("builtin");

pub const host = if (builtin.cpu.arch.isWasm()) @import("host_wasm.zig") else @import("host_native.zig");

/// See the WIT for the fields of these.
pub const Texts = struct {
    presence: []const u8,
    offsets: []const u32,
    data: []const u8,
};

pub const Reals = struct {
    presence: []const u8,
    values: []const f64,
};

pub const Leaves = struct {
    events: []const u32,
    ids: []const u32,
    kinds: []const u8,
    paths: []const u32,
    offsets: []const u32,
    data: []const u8,
    path_offsets: []const u32,
    path_data: []const u8,
    path_keys: []const u32,
};
