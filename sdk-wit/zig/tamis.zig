//! Tamis plugins in Zig: a file with a function for one event.
//!
//!     const tamis = @import("tamis");
//!
//!     pub const Config = struct { releases: []const []const u8 };
//!
//!     config: Config,
//!
//!     pub fn init(config: Config) !@This() {
//!         return .{ .config = config };
//!     }
//!
//!     pub fn filter(self: *@This(), event: tamis.Event) tamis.Verdict {
//!         const release = event.text("release") orelse return .keep;
//!         for (self.config.releases) |noisy| if (tamis.eql(noisy, release)) return .drop("noisy-release");
//!         return .keep;
//!     }
//!
//! `Config` is any type of structs, slices, optionals, enums, numbers, booleans, texts and `tamis.Map`. What makes the file a plugin of a
//! kind is the function beside `init`, see `answers.zig`:
//! * a filter has `filter(*Self, Event) Verdict`;
//! * a sampler has `sample(*Self, Event) Rate`;
//! * a scrubber has `selectors(*Self) []const []const u8` and `scrub(*Self, Leaf, *Edits) void`;
//! * a fingerprinter has `fingerprint(*Self, Event, *Fingerprints) void`.
//! All of them may return errors too; one ends the call, as a panic does.
//!
//! What is read of an event lies in the column that the host gave, without a copy, and is gone when the call ends: copy with
//! `tamis.allocator` what shall live longer. The configuration lives as long as the instance.

const std = @import("std");
const builtin = @import("builtin");

const answers = @import("src/answers.zig");
const batch = @import("src/batch.zig");
const memory = @import("src/memory.zig");

pub const Event = batch.Item;
pub const Item = batch.Item;
pub const Items = batch.Items;
pub const Texts = batch.Cells;
pub const Verdict = answers.Verdict;
pub const Rate = answers.Rate;
pub const Fingerprints = answers.Fingerprints;
pub const Leaf = @import("src/edits.zig").Leaf;
pub const Range = @import("src/edits.zig").Range;
pub const Edits = @import("src/edits.zig").Edits;
pub const Map = std.json.ArrayHashMap;

/// For `init`: refuses the configuration. Begin the message with the path of the key that is wrong, as in `rules[1].pattern: ...`.
pub const refuse = @import("src/config.zig").refuse;
pub const log = @import("src/log.zig");
pub const testing = @import("src/testing.zig");
/// For `root.zig`.
pub const exports = @import("src/exports.zig");

/// Memory that lives as long as the instance. A plugin keeps nothing but caches in it.
pub const allocator = memory.lasting;
/// Memory that is forgotten when the call ends: nothing of it needs to be freed.
pub const scratch = memory.of_call;

/// Whether two texts are equal. They are short as a rule, and this is faster for them than `std.mem.eql`.
pub const eql = batch.same;

/// The MD5 of texts, in hexadecimal, for fingerprints. Each is followed by a zero byte, so that "a", "bc" is not "ab", "c".
pub fn hashOf(parts: []const []const u8) [32]u8 {
    var md5 = std.crypto.hash.Md5.init(.{});
    for (parts) |part| {
        md5.update(part);
        md5.update(&.{0});
    }
    return std.fmt.bytesToHex(md5.finalResult(), .lower);
}

test {
    _ = @import("src/answers.zig");
    _ = @import("src/batch.zig");
    _ = @import("src/config.zig");
    _ = @import("src/edits.zig");
}

test hashOf {
    try std.testing.expect(!std.mem.eql(u8, &hashOf(&.{ "a", "bc" }), &hashOf(&.{ "ab", "c" })));
    // Of "a" and the zero byte.
    try std.testing.expectEqualStrings("4144e195f46de78a3623da7364d04f11", &hashOf(&.{"a"}));
}
