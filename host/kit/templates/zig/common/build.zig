//! `zig build test`: the plugin on this machine, without WebAssembly. It wants the `tamis` binary on PATH, or in the variable TAMIS.

const std = @import("std");

pub fn build(b: *std.Build) void {
    const target = b.standardTargetOptions(.{});
    const optimize = b.standardOptimizeOption(.{});
    const tamis = b.createModule(.{ .root_source_file = b.path("sdk/tamis.zig"), .target = target, .optimize = optimize });
    const plugin = b.createModule(.{
        .root_source_file = b.path("src/plugin.zig"),
        .target = target,
        .optimize = optimize,
        .imports = &.{.{ .name = "tamis", .module = tamis }},
    });
    const tests = b.addRunArtifact(b.addTest(.{ .root_module = plugin }));
    // The host's columns are not among what the build knows: run the tests each time.
    tests.has_side_effects = true;
    b.step("test", "Run the tests of the plugin").dependOn(&tests.step);
}
