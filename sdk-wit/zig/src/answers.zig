//! One call of a plugin: every event is asked, and what it says becomes the flat lists of the interface.

const std = @import("std");
const batch = @import("batch.zig");
const config = @import("config.zig");
const edits = @import("edits.zig");
const memory = @import("memory.zig");
const host = @import("host.zig").host;

/// What a filter says of an event: `.keep`, or `.drop("reason")`.
pub const Verdict = struct {
    reason: ?[]const u8 = null,

    /// The event goes on.
    pub const keep: Verdict = .{};

    /// The event ends here. The reason is a short key such as `web-crawlers`, of 1 to 512 bytes; it stands in the event's outcome.
    pub fn drop(reason: []const u8) Verdict {
        return .{ .reason = reason };
    }
};

/// What a sampler says of an event: `.keep`, or `.by(0.1, "rule")`. The host draws, by trace.
pub const Rate = struct {
    /// From 0 to 1. What is outside is brought to the nearer end; what is no number keeps all.
    rate: f64 = 1,
    /// What decided it, as the outcome will name it.
    rule: ?[]const u8 = null,

    /// No opinion: everything is kept.
    pub const keep: Rate = .{};

    pub fn by(rate: f64, rule: []const u8) Rate {
        return .{ .rate = rate, .rule = rule };
    }
};

const name_bytes_max = 512;
const fingerprint_bytes_max = 64;
const fingerprints_max = 64;

/// Where fingerprints of an event go. The first one decides its group; none is no opinion.
pub const Fingerprints = struct {
    kind: std.ArrayList(u32) = .empty,
    offsets: std.ArrayList(u32) = .empty,
    data: std.ArrayList(u8) = .empty,
    kinds: Interner = .{},
    of_event: u32 = 0,

    /// Adds a fingerprint of 1 to 64 bytes, of a kind such as `app` or `system`.
    pub fn push(self: *Fingerprints, kind: []const u8, fingerprint: []const u8) void {
        if (fingerprint.len < 1 or fingerprint.len > fingerprint_bytes_max) std.debug.panic(
            "a fingerprint has 1 to {d} bytes, and this one has {d}: {s}",
            .{ fingerprint_bytes_max, fingerprint.len, fingerprint[0..@min(fingerprint.len, 80)] },
        );
        if (self.of_event == fingerprints_max) std.debug.panic("an event has at most {d} fingerprints", .{fingerprints_max});
        self.of_event += 1;
        memory.ok(self.kind.append(memory.of_call, self.kinds.name(kind, "the kind of a fingerprint")));
        memory.ok(self.data.appendSlice(memory.of_call, fingerprint));
        memory.ok(self.offsets.append(memory.of_call, @intCast(self.data.items.len)));
    }
};

pub const Kind = enum { filter, sample, scrub, fingerprint };

/// The answers, in the order of the interface.
pub const Verdicts = struct { verdicts: []const u32, reasons: []const []const u8 };
pub const Rates = struct { rates: []const f64, decided_by: []const u32, rules: []const []const u8 };
pub const FlatFingerprints = struct {
    counts: []const u32,
    kind: []const u32,
    offsets: []const u32,
    data: []const u8,
    kinds: []const []const u8,
};

pub fn kindOf(comptime Plugin: type) Kind {
    var kind: ?Kind = null;
    inline for (std.enums.values(Kind)) |one| {
        if (@hasDecl(Plugin, @tagName(one))) {
            if (kind != null) @compileError("a plugin has one of pub fn filter, sample, scrub and fingerprint, not two");
            kind = one;
        }
    }
    return kind orelse @compileError("a plugin has one of pub fn filter, sample, scrub and fingerprint");
}

/// An instance; an error refuses the configuration, and `config.refusal` says why.
pub fn make(comptime Plugin: type, json: []const u8) error{Refused}!Plugin {
    batch.begin();
    const wanted = if (@hasDecl(Plugin, "Config")) Plugin.Config else struct {};
    const parsed = try config.parse(wanted, json);
    const made = if (!@hasDecl(Plugin, "init")) Plugin{} else if (@hasDecl(Plugin, "Config")) Plugin.init(parsed) else Plugin.init();
    var plugin: Plugin = if (@typeInfo(@TypeOf(made)) != .error_union) made else made catch |err| {
        if (err == error.Refused) return error.Refused;
        return config.refuse("init fails: {s}", .{@errorName(err)});
    };
    // The batch is empty now: this is for the host to refuse a bad selector at the start and not with every batch.
    if (comptime kindOf(Plugin) == .scrub) _ = host.leaves(plugin.selectors());
    return plugin;
}

fn Answer(comptime kind: Kind) type {
    return switch (kind) {
        .filter => Verdicts,
        .sample => Rates,
        .scrub => edits.Flat,
        .fingerprint => FlatFingerprints,
    };
}

pub fn ask(comptime Plugin: type, plugin: *Plugin) Answer(kindOf(Plugin)) {
    batch.begin();
    return switch (comptime kindOf(Plugin)) {
        .filter => askFilter(plugin),
        .sample => askSampler(plugin),
        .scrub => edits.askScrubber(plugin),
        .fingerprint => askFingerprinter(plugin),
    };
}

/// Calls the author's function. Not inline, so that it stands in a backtrace by its name. Where it gives an error, the call ends as
/// with a panic.
pub inline fn called(plugin: anytype, comptime name: []const u8, args: anytype) Payload(@TypeOf(plugin.*), name) {
    const result = @call(.never_inline, @field(@TypeOf(plugin.*), name), .{plugin} ++ args);
    if (@typeInfo(@TypeOf(result)) != .error_union) return result;
    return result catch |err| std.debug.panic("{s} gives error.{s}", .{ name, @errorName(err) });
}

fn Payload(comptime Plugin: type, comptime name: []const u8) type {
    const Result = @typeInfo(@TypeOf(@field(Plugin, name))).@"fn".return_type.?;
    return if (@typeInfo(Result) == .error_union) @typeInfo(Result).error_union.payload else Result;
}

fn askFilter(plugin: anytype) Verdicts {
    const verdicts = memory.ok(memory.of_call.alloc(u32, host.length()));
    var reasons: Interner = .{};
    for (verdicts, 0..) |*verdict, row| {
        const said: Verdict = called(plugin, "filter", .{batch.event(@intCast(row))});
        verdict.* = if (said.reason) |reason| reasons.name(reason, "the reason of a filter") + 1 else 0;
    }
    return .{ .verdicts = verdicts, .reasons = reasons.texts.items };
}

fn askSampler(plugin: anytype) Rates {
    const len = host.length();
    const rates = memory.ok(memory.of_call.alloc(f64, len));
    const decided_by = memory.ok(memory.of_call.alloc(u32, len));
    var rules: Interner = .{};
    for (rates, decided_by, 0..) |*rate, *by, row| {
        const said: Rate = called(plugin, "sample", .{batch.event(@intCast(row))});
        rate.* = if (std.math.isNan(said.rate)) 1 else std.math.clamp(said.rate, 0, 1);
        by.* = if (said.rule) |rule| rules.name(rule, "the rule of a sampler") + 1 else 0;
    }
    return .{ .rates = rates, .decided_by = decided_by, .rules = rules.texts.items };
}

fn askFingerprinter(plugin: anytype) FlatFingerprints {
    const counts = memory.ok(memory.of_call.alloc(u32, host.length()));
    var out: Fingerprints = .{};
    memory.ok(out.offsets.append(memory.of_call, 0));
    for (counts, 0..) |*count, row| {
        out.of_event = 0;
        called(plugin, "fingerprint", .{ batch.event(@intCast(row)), &out });
        count.* = out.of_event;
    }
    return .{
        .counts = counts,
        .kind = out.kind.items,
        .offsets = out.offsets.items,
        .data = out.data.items,
        .kinds = out.kinds.texts.items,
    };
}

/// Texts that an answer names by number: each distinct one once, numbered from 0.
pub const Interner = struct {
    texts: std.ArrayList([]const u8) = .empty,
    /// The texts behind the scanned ones.
    known: std.StringHashMapUnmanaged(u32) = .empty,
    last: u32 = 0,

    /// Texts up to this many are compared one by one, which for a handful is faster than any map.
    const scanned_max = 12;

    /// What the host would refuse for the whole batch, this refuses with the words of the one that did it.
    pub inline fn name(self: *Interner, text: []const u8, comptime what: []const u8) u32 {
        if (text.len < 1 or text.len > name_bytes_max) std.debug.panic(
            what ++ " has 1 to {d} bytes, and this one has {d}: {s}",
            .{ name_bytes_max, text.len, text[0..@min(text.len, 64)] },
        );
        return self.add(text);
    }

    pub fn add(self: *Interner, text: []const u8) u32 {
        if (self.texts.items.len > 0 and batch.same(self.texts.items[self.last], text)) return self.last;
        self.last = self.lookFor(text);
        return self.last;
    }

    fn lookFor(self: *Interner, text: []const u8) u32 {
        const scanned = self.texts.items[0..@min(self.texts.items.len, scanned_max)];
        for (scanned, 0..) |known, i| if (batch.same(known, text)) return @intCast(i);
        if (self.known.get(text)) |number| return number;
        const number: u32 = @intCast(self.texts.items.len);
        const copy = memory.ok(memory.of_call.dupe(u8, text));
        memory.ok(self.texts.append(memory.of_call, copy));
        if (number >= scanned_max) memory.ok(self.known.put(memory.of_call, copy, number));
        return number;
    }
};

test "each text once" {
    var interner: Interner = .{};
    for (0..3) |_| {
        for (0..300) |i| {
            var buffer: [16]u8 = undefined;
            const text = try std.fmt.bufPrint(&buffer, "text {d}", .{i});
            try std.testing.expectEqual(i, interner.add(text));
            try std.testing.expectEqual(i, interner.add(text));
        }
    }
    try std.testing.expectEqualStrings("text 299", interner.texts.items[299]);
}
