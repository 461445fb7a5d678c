//! Reading events, natively: a filter that answers with what it reads.

const std = @import("std");
const tamis = @import("tamis");

const What = enum { text, texts, number, flag, json, count, tag, buffer, lists, known, user };

pub const Config = struct {
    what: What = .text,
    paths: []const []const u8 = &.{},
};

config: Config,

pub fn init(config: Config) @This() {
    return .{ .config = config };
}

pub fn filter(self: *@This(), event: tamis.Event) !tamis.Verdict {
    var said: std.Io.Writer.Allocating = .init(tamis.scratch);
    const out = &said.writer;
    for (self.config.paths) |path| switch (self.config.what) {
        .text => try out.print("[{?s}]", .{event.text(path)}),
        .texts => {
            const texts = event.texts(path);
            for (0..texts.len) |i| try out.print("[{?s}]", .{texts.get(i)});
        },
        .number => try out.print("{?d} ", .{event.number(path)}),
        .flag => try out.print("{any} ", .{event.flag(path)}),
        .json => try out.print("{?s} ", .{event.json(path)}),
        .count => try out.print("{d} ", .{event.count(path)}),
        .tag => try out.print("[{?s}]", .{event.tag(path)}),
        .buffer => {
            // The same address with another path in it.
            const held = struct {
                var buffer: [64]u8 = undefined;
            };
            @memcpy(held.buffer[0..path.len], path);
            try out.print("[{?s}]", .{event.text(held.buffer[0..path.len])});
        },
        else => unreachable,
    };
    switch (self.config.what) {
        .lists => try sayLists(event, out),
        .known => try out.print("{d} {d}", .{ event.projectId(), event.receivedAt() }),
        .user => {
            const user = event.user();
            try out.print("[{?s}][{?s}][{?s}][{?s}]", .{ user.id(), user.email(), user.ipAddress(), user.username() });
        },
        else => {},
    }
    return if (said.written().len == 0) .keep else .drop(said.written());
}

fn sayLists(event: tamis.Event, out: *std.Io.Writer) !void {
    var exceptions = event.exceptions();
    while (exceptions.next()) |exception| {
        try out.print("[{?s}]", .{exception.text("type")});
        var frames = exception.frames();
        if (frames.last()) |last| try out.print("<{?s}", .{last.text("function")});
        if (frames.get(1)) |second| try out.print(">{?s}", .{second.text("function")});
        if (frames.get(2) != null) try out.writeAll("more than there are");
        while (frames.next()) |frame| try out.print("[{?s}]{?d}", .{ frame.text("function"), frame.number("lineno") });
        try out.print("({d})", .{exception.count("stacktrace.frames")});
    }
    try out.print("{d} {d} ", .{ event.exceptions().len(), event.count("exception.values.*.stacktrace.frames") });
    try out.print("[{?s}]", .{event.text("exception.values.*.type")});
    try out.print("{?d}", .{event.number("exception.values.*.stacktrace.frames.*.lineno")});
    try out.print(" {d}", .{event.items("exception.values.*.stacktrace.frames").len()});
}

const events =
    \\[{"release": "1.0", "n": 1.5, "yes": true, "tags": {"a'b.\\c": "x", "k": "v"}, "$meta": {"project_id": 7, "received_at": 99},
    \\  "exception": {"values": [
    \\    {"type": "A", "stacktrace": {"frames": [{"function": "f", "lineno": 1}, {"function": "g"}]}},
    \\    {"stacktrace": {"frames": []}},
    \\    {"type": "C", "stacktrace": {"frames": [{"lineno": 3}]}}]}},
    \\ {"release": "", "n": "1.5", "yes": "no", "tags": [["k", "w"]], "user": {"id": 5, "email": "e", "ip_address": "i", "username": "u"}}]
;

fn expect(config: []const u8, first: ?[]const u8, second: ?[]const u8) !void {
    const verdicts = try tamis.testing.filter(@This(), config, events);
    try std.testing.expectEqualDeep(&[_]tamis.Verdict{ .{ .reason = first }, .{ .reason = second } }, verdicts);
}

test "texts" {
    try expect("{\"paths\": [\"release\", \"n\", \"yes\", \"none\"]}", "[1.0][1.5][true][null]", "[][1.5][no][null]");
    const frames = "{\"what\": \"texts\", \"paths\": [\"exception.values.*.stacktrace.frames.*.function\", \"release\"]}";
    try expect(frames, "[f][g][null][1.0]", "[]");
}

test "other types" {
    try expect("{\"what\": \"number\", \"paths\": [\"n\", \"release\"]}", "1.5 null ", "null null ");
    try expect("{\"what\": \"flag\", \"paths\": [\"yes\", \"none\"]}", "true null ", "null null ");
    try expect("{\"what\": \"json\", \"paths\": [\"n\", \"tags\"]}", "1.5 {\"a'b.\\\\c\": \"x\", \"k\": \"v\"} ", "\"1.5\" [[\"k\", \"w\"]] ");
    try expect("{\"what\": \"count\", \"paths\": [\"tags\", \"none\"]}", "2 0 ", "1 0 ");
    try expect("{\"what\": \"tag\", \"paths\": [\"k\", \"a'b.\\\\c\"]}", "[v][x]", "[w][null]");
}

test "a path in one buffer is read by what it says" {
    try expect("{\"what\": \"buffer\", \"paths\": [\"release\", \"environ\", \"release\"]}", "[1.0][null][1.0]", "[][null][]");
}

test "lists, what the host knows, the user" {
    try expect("{\"what\": \"lists\"}", "[A]<g>g[f]1[g]null(2)[null](0)[C]<null[null]3(1)3 3 [A]1 3", "0 0 [null]null 0");
    try expect("{\"what\": \"known\"}", "7 99", "1 0");
    try expect("{\"what\": \"user\"}", "[null][null][null][null]", "[5][e][i][u]");
}

test "nothing said keeps, and a wrong configuration is refused" {
    try expect("{}", null, null);
    try std.testing.expectEqualStrings(
        "what: \"txt\" is none of text, texts, number, flag, json, count, tag, buffer, lists, known, user",
        try tamis.testing.refusal(@This(), "{\"what\": \"txt\"}"),
    );
}
