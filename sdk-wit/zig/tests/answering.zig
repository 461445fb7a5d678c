//! Answers of the other kinds, natively.

const std = @import("std");
const tamis = @import("tamis");

const Sampler = struct {
    pub fn sample(_: *Sampler, event: tamis.Event) tamis.Rate {
        const rule = event.text("rule") orelse return .keep;
        return .by(event.number("rate") orelse std.math.nan(f64), rule);
    }
};

const Scrubber = struct {
    pub const Config = struct { selectors: []const []const u8 };

    config: Config,

    pub fn init(config: Config) Scrubber {
        return .{ .config = config };
    }

    pub fn selectors(self: *Scrubber) []const []const u8 {
        return self.config.selectors;
    }

    pub fn scrub(_: *Scrubber, leaf: tamis.Leaf, edits: *tamis.Edits) void {
        if (leaf.kind != .string) return edits.remove(leaf, .whole, "@all");
        edits.mask(leaf, .of(0, 2), '#', "@mask");
        if (leaf.text.len >= 4) edits.replace(leaf, .of(2, 4), "[x]", "@replace");
        if (leaf.text.len >= 6) edits.hash(leaf, .of(5, 6), "key", "@hash");
    }
};

const Fingerprinter = struct {
    pub fn fingerprint(_: *Fingerprinter, event: tamis.Event, out: *tamis.Fingerprints) void {
        const parts = event.texts("parts.*");
        for (0..parts.len) |i| out.push(if (i % 2 == 0) "even" else "odd", parts.get(i).?);
    }
};

test "rates are brought into range" {
    const rates = try tamis.testing.sample(Sampler, "{}",
        \\[{"rule": "a", "rate": 0.25}, {"rule": "b", "rate": -1}, {"rule": "c", "rate": 7}, {"rule": "d"}, {}]
    );
    const want = [_]tamis.Rate{ .by(0.25, "a"), .by(0, "b"), .by(1, "c"), .by(1, "d"), .keep };
    try std.testing.expectEqualDeep(@as([]const tamis.Rate, &want), rates);
}

test "edits name their leaves" {
    const edits = try tamis.testing.scrub(Scrubber, "{\"selectors\": [\"a\", \"n && $number\"]}",
        \\[{"a": "é123456", "n": 5}, {"a": "ab"}]
    );
    const want = [_]tamis.testing.Edit{
        .{ .event = 0, .path = "a", .op = "mask", .found = "é", .with = "#", .rule = "@mask" },
        .{ .event = 0, .path = "a", .op = "replace", .found = "12", .with = "[x]", .rule = "@replace" },
        .{ .event = 0, .path = "a", .op = "hash", .found = "4", .with = "key", .rule = "@hash" },
        .{ .event = 0, .path = "n", .op = "remove", .found = "5", .rule = "@all" },
        .{ .event = 1, .path = "a", .op = "mask", .found = "ab", .with = "#", .rule = "@mask" },
    };
    try std.testing.expectEqualDeep(@as([]const tamis.testing.Edit, &want), edits);
}

test "fingerprints follow each other" {
    const found = try tamis.testing.fingerprint(Fingerprinter, "",
        \\[{"parts": ["a", "bc"]}, {}, {"parts": ["d"]}]
    );
    const Of = tamis.testing.Fingerprint;
    const first = [_]Of{ .{ .kind = "even", .fingerprint = "a" }, .{ .kind = "odd", .fingerprint = "bc" } };
    const last = [_]Of{.{ .kind = "even", .fingerprint = "d" }};
    try std.testing.expectEqualDeep(@as([]const []const Of, &.{ &first, &.{}, &last }), found);
}
