//! The root of a component: exports what the plugin is, and brings panics and `std.log` into the host's log.
//!
//! `tamis plugin build` compiles this file with the modules `plugin` (the author's file) and `tamis`.

const std = @import("std");
const tamis = @import("tamis");
const exports = tamis.exports;

pub const panic = std.debug.FullPanic(tamis.log.panic);
pub const std_options: std.Options = .{ .logFn = tamis.log.ofStd };

comptime {
    exports.of(@import("plugin"));
}
