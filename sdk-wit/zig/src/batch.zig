//! The columns that the plugin has pulled of the current batch, and reading from them.
//!
//! A plugin asks for the same paths in the same order for every event: each column remembers which one was asked for after it, and
//! finding it is then one comparison of a short text.

const std = @import("std");
const memory = @import("memory.zig");
const host = @import("host.zig").host;

const Kind = enum(u8) { none, text, tag, json, number, count, list };

const Column = struct {
    /// The list whose items it is of; null for events.
    list: ?*const Column = null,
    kind: Kind = .none,
    path: []const u8 = "",
    presence: []const u8 = &.{},
    offsets: []const u32 = &.{},
    data: []const u8 = &.{},
    values: []const f64 = &.{},
    counts: []const u32 = &.{},
    /// Where the rows of each row of `list` begin, if there may be several.
    starts: ?[]const u32 = null,
    /// Of a list: the full path of its items.
    items: []const u8 = "",
    /// What was asked for after this one the last time.
    after: *Column = &no_column,
    older: ?*Column = null,
};

/// Stands for no column: it is found under no path.
var no_column: Column = .{};
var guess: *Column = &no_column;
var last: *Column = &no_column;
var newest: ?*Column = null;

/// Takes up the next batch.
pub fn begin() void {
    no_column.after = &no_column;
    guess = &no_column;
    last = &no_column;
    newest = null;
}

pub fn event(row: u32) Item {
    return .{ .list = null, .row = row };
}

/// An event, or an item of a list in one: its paths are relative to it.
///
/// The first use of a path pulls its values for the whole batch; then a value costs a few nanoseconds. Paths may be made at run
/// time: what counts is that there are few different ones. A path that can not be parsed, or that the stage was not granted, ends the call.
pub const Item = struct {
    list: ?*const Column,
    row: u32,

    /// The string, number or boolean under `path`, as text. Of a path with stars, the first there is.
    pub inline fn text(self: Item, path: []const u8) ?[]const u8 {
        return textIn(find(self.list, .text, path), self.row);
    }

    /// The number under `path`. A string is none, also if it looks like a number.
    pub inline fn number(self: Item, path: []const u8) ?f64 {
        return numberIn(find(self.list, .number, path), self.row);
    }

    /// The boolean under `path`.
    pub inline fn flag(self: Item, path: []const u8) ?bool {
        const value = self.text(path) orelse return null;
        if (same(value, "true")) return true;
        return if (same(value, "false")) false else null;
    }

    /// Whatever is under `path`, as JSON text. It costs more than the others: all of it is copied.
    pub fn json(self: Item, path: []const u8) ?[]const u8 {
        return textIn(find(self.list, .json, path), self.row);
    }

    /// The texts under a path with stars, such as `exception.values.*.type`: one for each value, null where it has no text.
    pub fn texts(self: Item, path: []const u8) Cells {
        const column = find(self.list, .text, path);
        const starts = column.starts orelse return .{ .column = column, .first = self.row, .len = 1 };
        return .{ .column = column, .first = starts[self.row], .len = starts[self.row + 1] - starts[self.row] };
    }

    /// The number of elements of the list, or of members of the object, under `path`; 0 where there is neither.
    pub fn count(self: Item, path: []const u8) usize {
        const column = find(self.list, .count, path);
        const starts = column.starts orelse return column.counts[self.row];
        var sum: usize = 0;
        for (column.counts[starts[self.row]..starts[self.row + 1]]) |n| sum += n;
        return sum;
    }

    /// The tag with that key, whatever is in the key and in whichever form the client sent tags.
    pub inline fn tag(self: Item, key: []const u8) ?[]const u8 {
        return textIn(find(self.list, .tag, key), self.row);
    }

    /// The items of the list (or the values of the object) under `path`; those of a path with stars follow each other.
    pub fn items(self: Item, path: []const u8) Items {
        const column = find(self.list, .list, path);
        const starts = column.starts.?;
        return .{ .list = column, .row = starts[self.row], .end = starts[self.row + 1] };
    }

    /// The exceptions in the order of the event: the last one was raised last.
    pub fn exceptions(self: Item) Items {
        return self.items("exception.values");
    }

    pub fn threads(self: Item) Items {
        return self.items("threads.values");
    }

    /// The frames of this exception's or thread's stack trace, the outermost call first.
    pub fn frames(self: Item) Items {
        return self.items("stacktrace.frames");
    }

    pub fn user(self: Item) User {
        return .{ .of = self };
    }

    pub inline fn projectId(self: Item) u64 {
        return @intFromFloat(self.number("$meta.project_id") orelse 0);
    }

    /// When the host received the event, in milliseconds since 1970-01-01 UTC. A plugin has no other clock.
    pub inline fn receivedAt(self: Item) u64 {
        return @intFromFloat(self.number("$meta.received_at") orelse 0);
    }
};

pub const User = struct {
    of: Item,

    pub fn id(self: User) ?[]const u8 {
        return self.of.text("user.id");
    }

    pub fn email(self: User) ?[]const u8 {
        return self.of.text("user.email");
    }

    pub fn ipAddress(self: User) ?[]const u8 {
        return self.of.text("user.ip_address");
    }

    pub fn username(self: User) ?[]const u8 {
        return self.of.text("user.username");
    }
};

/// The items of a list: `while (items.next()) |item|`.
pub const Items = struct {
    list: *const Column,
    row: u32,
    end: u32,

    pub fn next(self: *Items) ?Item {
        if (self.row == self.end) return null;
        defer self.row += 1;
        return .{ .list = self.list, .row = self.row };
    }

    /// How many are left.
    pub fn len(self: Items) usize {
        return self.end - self.row;
    }

    /// The one at `index`.
    pub fn get(self: Items, index: usize) ?Item {
        return if (index < self.len()) .{ .list = self.list, .row = self.row + @as(u32, @intCast(index)) } else null;
    }

    pub fn last(self: Items) ?Item {
        return if (self.row < self.end) .{ .list = self.list, .row = self.end - 1 } else null;
    }
};

/// The texts of a path with stars.
pub const Cells = struct {
    column: *const Column,
    first: u32,
    len: usize,

    pub fn get(self: Cells, index: usize) ?[]const u8 {
        std.debug.assert(index < self.len);
        return cell(self.column, self.first + @as(u32, @intCast(index)));
    }
};

/// Whether two texts are equal. The last words overlap the ones before, so that there is no rest to go through byte by byte. Best with a
/// literal as the second one: its length and words are constants then.
pub inline fn same(a: []const u8, b: []const u8) bool {
    const len = b.len;
    if (a.len != len) return false;
    if (len >= 8) {
        var at: usize = 0;
        while (at < len - 8) : (at += 8) {
            if (word(u64, a, at) != word(u64, b, at)) return false;
        }
        return word(u64, a, len - 8) == word(u64, b, len - 8);
    }
    if (len >= 4) return word(u32, a, 0) == word(u32, b, 0) and word(u32, a, len - 4) == word(u32, b, len - 4);
    for (a, b) |x, y| if (x != y) return false;
    return true;
}

inline fn word(comptime T: type, text: []const u8, at: usize) T {
    return std.mem.readInt(T, text[at..][0..@sizeOf(T)], .little);
}

inline fn find(list: ?*const Column, kind: Kind, path: []const u8) *const Column {
    const column = guess;
    if (column.kind == kind and column.list == list and same(column.path, path)) {
        last = column;
        guess = column.after;
        return column;
    }
    return lookFor(list, kind, path);
}

inline fn textIn(column: *const Column, at: u32) ?[]const u8 {
    const starts = column.starts orelse return cell(column, at);
    return firstText(column, starts[at], starts[at + 1]);
}

inline fn cell(column: *const Column, at: u32) ?[]const u8 {
    if (column.presence[at] == 0) return null;
    return column.data[column.offsets[at]..column.offsets[at + 1]];
}

fn firstText(column: *const Column, begin_row: u32, end_row: u32) ?[]const u8 {
    for (begin_row..end_row) |at| {
        if (cell(column, @intCast(at))) |text| return text;
    }
    return null;
}

inline fn numberIn(column: *const Column, at: u32) ?f64 {
    const starts = column.starts orelse return if (column.presence[at] == 0) null else column.values[at];
    for (starts[at]..starts[at + 1]) |i| {
        if (column.presence[i] != 0) return column.values[i];
    }
    return null;
}

noinline fn lookFor(list: ?*const Column, kind: Kind, path: []const u8) *const Column {
    const before = last;
    const found = known(list, kind, path) orelse found: {
        const made = memory.ok(memory.of_call.create(Column));
        made.* = .{ .list = list, .kind = kind, .path = memory.ok(memory.of_call.dupe(u8, path)) };
        pull(made);
        made.older = newest;
        newest = made;
        break :found made;
    };
    before.after = found;
    last = found;
    guess = found.after;
    return found;
}

fn known(list: ?*const Column, kind: Kind, path: []const u8) ?*Column {
    var next = newest;
    while (next) |column| : (next = column.older) {
        if (column.kind == kind and column.list == list and same(column.path, path)) return column;
    }
    return null;
}

fn pull(column: *Column) void {
    const path = if (column.kind == .tag) tagPath(column.path) else column.path;
    const full = joined(if (column.list) |list| list.items else "", path);
    switch (column.kind) {
        .none => unreachable,
        .text, .tag, .json => {
            const texts = if (column.kind == .json) host.json(full) else host.strings(full);
            column.presence = texts.presence;
            column.offsets = texts.offsets;
            column.data = texts.data;
        },
        .number => {
            const reals = host.numbers(full);
            column.presence = reals.presence;
            column.values = reals.values;
        },
        .count => column.counts = host.counts(full),
        .list => return pullList(column, full),
    }
    if (starredList(path)) |list| column.starts = lookFor(column.list, .list, list).starts;
}

/// The items of the list under the path; with a star in it, the items of all those lists in a row.
fn pullList(column: *Column, full: []const u8) void {
    const starts = startsOf(host.counts(full));
    column.items = joined(full, "*");
    column.starts = starts;
    const outer = starredList(column.path) orelse return;
    const rows = lookFor(column.list, .list, outer).starts.?;
    const outer_starts = memory.ok(memory.of_call.alloc(u32, rows.len));
    for (outer_starts, rows) |*start, at| start.* = starts[at];
    column.starts = outer_starts;
}

fn startsOf(counts: []const u32) []const u32 {
    const starts = memory.ok(memory.of_call.alloc(u32, counts.len + 1));
    starts[0] = 0;
    for (counts, 0..) |count, i| starts[i + 1] = starts[i] + count;
    return starts;
}

fn joined(front: []const u8, back: []const u8) []const u8 {
    if (front.len == 0) return back;
    if (back.len == 0) return front;
    return memory.ok(std.mem.concat(memory.of_call, u8, &.{ front, ".", back }));
}

/// A tag's key as a path, whatever is in it.
fn tagPath(key: []const u8) []const u8 {
    var path: std.ArrayList(u8) = .empty;
    memory.ok(path.appendSlice(memory.of_call, "tags.'"));
    for (key) |byte| {
        if (byte == '\'' or byte == '\\') memory.ok(path.append(memory.of_call, '\\'));
        memory.ok(path.append(memory.of_call, byte));
    }
    memory.ok(path.append(memory.of_call, '\''));
    return path.items;
}

/// The path of the list whose items the last star stands for.
fn starredList(path: []const u8) ?[]const u8 {
    var quoted = false;
    var escaped = false;
    var list: ?[]const u8 = null;
    for (path, 0..) |byte, at| {
        if (escaped) {
            escaped = false;
        } else if (quoted and byte == '\\') {
            escaped = true;
        } else if (byte == '\'') {
            quoted = !quoted;
        } else if (byte == '*' and !quoted) {
            list = std.mem.trimEnd(u8, path[0..at], ".");
        }
    }
    return list;
}

test "stars" {
    const cases = [_]struct { []const u8, ?[]const u8 }{
        .{ "release", null },
        .{ "a.*.b", "a" },
        .{ "a.*.b.*.c.d", "a.*.b" },
        .{ "tags.*", "tags" },
        .{ "a.*.*", "a.*" },
        .{ "tags.'a*b'", null },
        .{ "x.*.'it\\'s *'", "x" },
    };
    for (cases) |case| try std.testing.expectEqualDeep(case[1], starredList(case[0]));
}

test same {
    const text = "exception.values.*.type and more";
    for (0..text.len) |len| {
        try std.testing.expect(same(text[0..len], text[0..len]));
        for (0..len) |at| {
            var other = text.*;
            other[at] ^= 1;
            try std.testing.expect(!same(text[0..len], other[0..len]));
        }
    }
    try std.testing.expect(!same("ab", "abc"));
}
