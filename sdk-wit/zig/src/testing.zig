//! Native tests of plugins, in `zig test`: the plugin over events that the host's own code reads.
//!
//!     test "noisy releases go" {
//!         const verdicts = try tamis.testing.filter(@This(),
//!             \\{"releases": ["1.0"]}
//!         ,
//!             \\[{"release": "1.0"}, {}]
//!         );
//!         try std.testing.expectEqualDeep(&[_]tamis.Verdict{ .drop("noisy-release"), .keep }, verdicts);
//!     }
//!
//! Events are JSON, one or an array of them, each with `"$meta"` and `"$trace"` for what the host knows beside it. What the plugin pulls
//! comes from the `tamis` binary: the one that the variable TAMIS names, else the one on PATH. What comes back is not to be freed.

const std = @import("std");
const answers = @import("answers.zig");
const batch = @import("batch.zig");
const config_of = @import("config.zig");
const edits_of = @import("edits.zig");
const memory = @import("memory.zig");
const host = @import("host.zig").host;

pub const Fingerprint = struct { kind: []const u8, fingerprint: []const u8 };

/// An edit that a scrubber asks for.
pub const Edit = struct {
    event: u32,
    path: []const u8,
    op: []const u8,
    /// What it covers.
    found: []const u8,
    with: []const u8 = "",
    rule: []const u8,
};

pub fn filter(comptime Plugin: type, config: []const u8, events: []const u8) ![]const answers.Verdict {
    const answer = try run(Plugin, config, events);
    const verdicts = try memory.lasting.alloc(answers.Verdict, answer.verdicts.len);
    for (verdicts, answer.verdicts) |*verdict, n| verdict.* = .{ .reason = named(answer.reasons, n) };
    return verdicts;
}

pub fn sample(comptime Plugin: type, config: []const u8, events: []const u8) ![]const answers.Rate {
    const answer = try run(Plugin, config, events);
    const rates = try memory.lasting.alloc(answers.Rate, answer.rates.len);
    for (rates, answer.rates, answer.decided_by) |*rate, of, by| rate.* = .{ .rate = of, .rule = named(answer.rules, by) };
    return rates;
}

/// The fingerprints of each event.
pub fn fingerprint(comptime Plugin: type, config: []const u8, events: []const u8) ![]const []const Fingerprint {
    const answer = try run(Plugin, config, events);
    const of_events = try memory.lasting.alloc([]const Fingerprint, answer.counts.len);
    var at: usize = 0;
    for (of_events, answer.counts) |*of_event, count| {
        const list = try memory.lasting.alloc(Fingerprint, count);
        for (list) |*one| {
            one.* = .{
                .kind = answer.kinds[answer.kind[at]],
                .fingerprint = answer.data[answer.offsets[at]..answer.offsets[at + 1]],
            };
            at += 1;
        }
        of_event.* = list;
    }
    return of_events;
}

/// The edits in the order of events. What they make of an event, `tamis plugin test` shows.
pub fn scrub(comptime Plugin: type, config: []const u8, events: []const u8) ![]const Edit {
    var plugin = try made(Plugin, config);
    try begin(events);
    defer end();
    const answer = answers.ask(Plugin, &plugin);
    const lists = host.leaves(plugin.selectors());
    const edits = try memory.lasting.alloc(Edit, answer.leaf.len);
    for (edits, 0..) |*edit, i| {
        const leaf = leafWith(lists, answer.leaf[i]);
        edit.* = .{
            .event = leaf.event.row,
            .path = leaf.path,
            .op = ([_][]const u8{ "remove", "replace", "mask", "hash" })[answer.op[i]],
            .found = leaf.text[answer.start[i]..@min(answer.end[i], leaf.text.len)],
            .with = answer.strings[answer.text[i]],
            .rule = answer.strings[answer.rule[i]],
        };
    }
    return edits;
}

/// What the operator is told of a configuration that is refused.
pub fn refusal(comptime Plugin: type, config: []const u8) ![]const u8 {
    if (answers.make(Plugin, config)) |_| return error.NotRefused else |_| return config_of.refusal;
}

fn run(comptime Plugin: type, config: []const u8, events: []const u8) !@TypeOf(answers.ask(Plugin, undefined)) {
    var plugin = try made(Plugin, config);
    try begin(events);
    defer end();
    return answers.ask(Plugin, &plugin);
}

fn made(comptime Plugin: type, config: []const u8) error{Refused}!Plugin {
    return answers.make(Plugin, config) catch |err| {
        std.debug.print("the configuration is refused: {s}\n", .{config_of.refusal});
        return err;
    };
}

var folder: ?std.testing.TmpDir = null;

fn begin(events: []const u8) !void {
    const io = std.testing.io;
    folder = std.testing.tmpDir(.{});
    try folder.?.dir.writeFile(io, .{ .sub_path = "events.json", .data = events });
    host.events_file = try folder.?.dir.realPathFileAlloc(io, "events.json", memory.lasting);
}

fn end() void {
    host.events_file = null;
    folder.?.cleanup();
    memory.keepCall();
}

fn named(names: []const []const u8, number: u32) ?[]const u8 {
    return if (number == 0) null else names[number - 1];
}

fn leafWith(lists: anytype, id: u32) edits_of.Leaf {
    for (lists, 0..) |list, selector| {
        for (list.ids, 0..) |known, i| if (known == id) return edits_of.leafOf(list, i, selector);
    }
    std.debug.panic("the plugin edits a leaf {d} that no selector names", .{id});
}
