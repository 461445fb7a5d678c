//! What a scrubber sees, and what it wants changed.

const std = @import("std");
const answers = @import("answers.zig");
const batch = @import("batch.zig");
const memory = @import("memory.zig");
const shapes = @import("host.zig");
const host = shapes.host;

/// One value that a selector of a scrubber names. One that several name comes once for each.
pub const Leaf = struct {
    event: batch.Item,
    kind: enum(u8) { string, number, boolean, object, array },
    /// With `*` for elements of arrays.
    path: []const u8,
    /// A number for that path, the same in every batch of an instance: decide once per path, and keep it under this.
    path_key: u32,
    /// A string without quotes and escapes, a number or boolean as in JSON, nothing for an object or array.
    text: []const u8,
    /// The index in `selectors()`.
    selector: usize,
    id: u32,
};

/// A range of bytes of a leaf's text, on character boundaries. Of a leaf that is not a string only `.whole` can be edited.
pub const Range = struct {
    start: usize,
    end: usize,

    pub const whole: Range = .{ .start = 0, .end = std.math.maxInt(usize) };

    pub fn of(start: usize, end: usize) Range {
        return .{ .start = start, .end = end };
    }
};

const whole_end = std.math.maxInt(u32);
const edits_max = 262_144;
const rule_bytes_max = 512;

const Op = enum(u8) { remove, replace, mask, hash };

const Edit = struct {
    leaf: u32,
    op: Op,
    start: u32,
    end: u32,
    text: u32,
    rule: u32,
    number: u32,
};

/// Where edits go. `rule` is what asks for the edit, as the event's `_meta` will show it: `@email:replace`. Where edits of one value
/// overlap, the earlier one is stretched over both: what any of them covers does not survive.
pub const Edits = struct {
    list: std.ArrayList(Edit) = .empty,
    strings: answers.Interner = .{},
    /// Leaves come in ascending order, so one look tells that no leaf was edited twice.
    in_order: bool = true,

    /// Takes the range out. Of a whole value, null stays.
    pub fn remove(self: *Edits, leaf: Leaf, range: Range, rule: []const u8) void {
        self.push(leaf, .remove, range, "", rule);
    }

    pub fn replace(self: *Edits, leaf: Leaf, range: Range, with: []const u8, rule: []const u8) void {
        self.push(leaf, .replace, range, with, rule);
    }

    /// Puts `with` in the place of each character.
    pub fn mask(self: *Edits, leaf: Leaf, range: Range, with: u21, rule: []const u8) void {
        var character: [4]u8 = undefined;
        const len = std.unicode.utf8Encode(with, &character) catch std.debug.panic("{x} is no character", .{with});
        self.push(leaf, .mask, range, character[0..len], rule);
    }

    /// Puts the HMAC-SHA1 under `key` in its place, as 40 upper-case hexadecimal digits.
    pub fn hash(self: *Edits, leaf: Leaf, range: Range, key: []const u8, rule: []const u8) void {
        self.push(leaf, .hash, range, key, rule);
    }

    fn push(self: *Edits, leaf: Leaf, op: Op, range: Range, text: []const u8, rule: []const u8) void {
        const is_whole = range.start == 0 and range.end == Range.whole.end;
        if (!is_whole) check(leaf, range);
        if (rule.len < 1 or rule.len > rule_bytes_max) {
            std.debug.panic("the rule of an edit has 1 to {d} bytes, and this one has {d}", .{ rule_bytes_max, rule.len });
        }
        const number = self.list.items.len;
        if (number == edits_max) std.debug.panic("a batch has at most {d} edits", .{edits_max});
        if (number > 0 and self.list.items[number - 1].leaf >= leaf.id) self.in_order = false;
        memory.ok(self.list.append(memory.of_call, .{
            .leaf = leaf.id,
            .op = op,
            .start = @intCast(range.start),
            .end = if (is_whole) whole_end else @intCast(range.end),
            .text = self.strings.add(text),
            .rule = self.strings.add(rule),
            .number = @intCast(number),
        }));
    }

    fn finish(self: *Edits) Flat {
        if (!self.in_order) self.merge();
        const list = self.list.items;
        const ops = memory.ok(memory.of_call.alloc(u8, list.len));
        for (list, ops) |edit, *op| op.* = @backingInt(edit.op);
        return .{
            .leaf = column(list, "leaf"),
            .op = ops,
            .start = column(list, "start"),
            .end = column(list, "end"),
            .text = column(list, "text"),
            .rule = column(list, "rule"),
            .strings = self.strings.texts.items,
        };
    }

    fn merge(self: *Edits) void {
        const list = self.list.items;
        std.mem.sort(Edit, list, {}, before);
        var kept: usize = 0;
        for (list) |next| {
            if (kept > 0 and list[kept - 1].leaf == next.leaf and overlap(list[kept - 1], next)) {
                const last = &list[kept - 1];
                const start = last.start;
                const end = @max(last.end, next.end);
                if (next.number < last.number) last.* = next;
                last.start = start;
                last.end = end;
            } else {
                list[kept] = next;
                kept += 1;
            }
        }
        self.list.shrinkRetainingCapacity(kept);
    }
};

/// The answer, in the order of the interface.
pub const Flat = struct {
    leaf: []const u32,
    op: []const u8,
    start: []const u32,
    end: []const u32,
    text: []const u32,
    rule: []const u32,
    strings: []const []const u8,
};

pub fn askScrubber(plugin: anytype) Flat {
    var edits: Edits = .{};
    for (host.leaves(plugin.selectors()), 0..) |list, selector| {
        for (0..list.ids.len) |i| answers.called(plugin, "scrub", .{ leafOf(list, i, selector), &edits });
    }
    return edits.finish();
}

pub fn leafOf(list: shapes.Leaves, i: usize, selector: usize) Leaf {
    const path = list.paths[i];
    return .{
        .event = batch.event(list.events[i]),
        .kind = @fromBackingInt(@intCast(list.kinds[i])),
        .path = list.path_data[list.path_offsets[path]..list.path_offsets[path + 1]],
        .path_key = list.path_keys[path],
        .text = list.data[list.offsets[i]..list.offsets[i + 1]],
        .selector = selector,
        .id = list.ids[i],
    };
}

fn check(leaf: Leaf, range: Range) void {
    const len = leaf.text.len;
    if (leaf.kind != .string) std.debug.panic("{s} is no string: only .whole of it can be edited", .{leaf.path});
    if (range.start > range.end or range.end > len) {
        std.debug.panic("{s} has {d} bytes: there is no range {d}..{d}", .{ leaf.path, len, range.start, range.end });
    }
    for ([_]usize{ range.start, range.end }) |at| {
        if (at < len and leaf.text[at] & 0xc0 == 0x80) {
            std.debug.panic("the range {d}..{d} of {s} begins or ends within a character", .{ range.start, range.end, leaf.path });
        }
    }
}

fn before(_: void, a: Edit, b: Edit) bool {
    if (a.leaf != b.leaf) return a.leaf < b.leaf;
    if (a.start != b.start) return a.start < b.start;
    return a.number < b.number;
}

/// Of two edits of one leaf, the second of which does not begin before the first.
fn overlap(a: Edit, b: Edit) bool {
    return (a.start == b.start and a.end == b.end) or b.start < a.end;
}

fn column(list: []const Edit, comptime field: []const u8) []const u32 {
    const values = memory.ok(memory.of_call.alloc(u32, list.len));
    for (list, values) |edit, *value| value.* = @field(edit, field);
    return values;
}

test "edits that overlap are stretched" {
    const Given = struct { u32, usize, usize };
    const Want = struct { u32, u32, u32, []const u8 };
    const all = Range.whole.end;
    const cases = [_]struct { []const Given, []const Want }{
        .{ &.{ .{ 1, 0, 2 }, .{ 1, 4, 6 }, .{ 2, 0, 1 } }, &.{ .{ 1, 0, 2, "0" }, .{ 1, 4, 6, "1" }, .{ 2, 0, 1, "2" } } },
        .{ &.{ .{ 1, 0, 2 }, .{ 1, 2, 4 } }, &.{ .{ 1, 0, 2, "0" }, .{ 1, 2, 4, "1" } } },
        .{ &.{ .{ 1, 3, 8 }, .{ 1, 0, 5 } }, &.{.{ 1, 0, 8, "0" }} },
        .{ &.{ .{ 1, 0, 5 }, .{ 1, 3, 8 }, .{ 1, 7, 9 } }, &.{.{ 1, 0, 9, "0" }} },
        .{ &.{ .{ 1, 3, 5 }, .{ 1, 0, all } }, &.{.{ 1, 0, whole_end, "0" }} },
        .{ &.{ .{ 1, 0, all }, .{ 1, 0, all } }, &.{.{ 1, 0, whole_end, "0" }} },
        .{ &.{ .{ 2, 0, 1 }, .{ 1, 0, 1 } }, &.{ .{ 1, 0, 1, "1" }, .{ 2, 0, 1, "0" } } },
    };
    for (cases) |case| {
        var edits: Edits = .{};
        for (case[0], 0..) |one, i| {
            const leaf: Leaf = .{
                .event = batch.event(0),
                .kind = .string,
                .path = "a",
                .path_key = 0,
                .text = "0123456789",
                .selector = 0,
                .id = one[0],
            };
            edits.remove(leaf, .of(one[1], one[2]), &.{'0' + @as(u8, @intCast(i))});
        }
        const flat = edits.finish();
        try std.testing.expectEqual(case[1].len, flat.leaf.len);
        for (case[1], 0..) |want, i| {
            const got: Want = .{ flat.leaf[i], flat.start[i], flat.end[i], flat.strings[flat.rule[i]] };
            try std.testing.expectEqualDeep(want, got);
        }
    }
}
