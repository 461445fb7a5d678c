//! The configuration: JSON into the author's type, with errors that begin with the path of the key that is wrong.

const std = @import("std");
const memory = @import("memory.zig");
const Value = std.json.Value;

/// Why the configuration was refused.
pub var refusal: []const u8 = "";

pub fn refuse(comptime format: []const u8, args: anytype) error{Refused} {
    refusal = memory.ok(std.fmt.allocPrint(memory.lasting, format, args));
    return error.Refused;
}

/// No configuration at all stands for an empty object, so that a plugin whose keys all have defaults needs none.
pub fn parse(comptime T: type, json: []const u8) error{Refused}!T {
    const trimmed = std.mem.trim(u8, json, " \t\r\n");
    const text = if (trimmed.len == 0 or std.mem.eql(u8, trimmed, "null")) "{}" else trimmed;
    // What is made of it points into it, and lives as long.
    const kept = memory.ok(memory.lasting.dupe(u8, text));
    const value = std.json.parseFromSliceLeaky(Value, memory.lasting, kept, .{}) catch |err| switch (err) {
        error.OutOfMemory => @panic("out of memory"),
        error.DuplicateField => return refuse("a key twice in one object", .{}),
        else => return refuse("no JSON: {s}", .{@errorName(err)}),
    };
    return read(T, value, null);
}

/// Where a value is; the front of a path lies with whoever called.
const Place = struct {
    outer: ?*const Place,
    step: union(enum) { key: []const u8, index: usize },

    pub fn format(self: Place, writer: *std.Io.Writer) std.Io.Writer.Error!void {
        if (self.outer) |outer| try outer.format(writer);
        switch (self.step) {
            .key => |key| try writer.print("{s}{s}", .{ if (self.outer == null) "" else ".", key }),
            .index => |index| try writer.print("[{d}]", .{index}),
        }
    }
};

fn wrong(place: ?*const Place, comptime format: []const u8, args: anytype) error{Refused} {
    const at = place orelse return refuse(format, args);
    return refuse("{f}: " ++ format, .{at.*} ++ args);
}

fn read(comptime T: type, value: Value, place: ?*const Place) error{Refused}!T {
    if (T == []const u8) return if (value == .string) value.string else mismatch(value, "a text", place);
    switch (@typeInfo(T)) {
        .bool => return if (value == .bool) value.bool else mismatch(value, "true or false", place),
        .float => return switch (value) {
            .float => |number| @floatCast(number),
            .integer => |number| @floatFromInt(number),
            else => mismatch(value, "a number", place),
        },
        .int => {
            if (value != .integer) return mismatch(value, "a whole number", place);
            return std.math.cast(T, value.integer) orelse
                wrong(place, "{d} is not from {d} to {d}", .{ value.integer, std.math.minInt(T), std.math.maxInt(T) });
        },
        .optional => |of| return if (value == .null) null else try read(of.child, value, place),
        .@"enum" => return readEnum(T, value, place),
        .pointer => |of| {
            if (of.size != .slice) @compileError("a configuration has no " ++ @typeName(T));
            return readList(of.child, value, place);
        },
        .@"struct" => {
            if (@hasField(T, "map")) return readMap(T, value, place);
            return readStruct(T, value, place);
        },
        else => @compileError("a configuration has no " ++ @typeName(T)),
    }
}

fn mismatch(value: Value, comptime what: []const u8, place: ?*const Place) error{Refused} {
    const is = switch (value) {
        .null => "null",
        .bool => |b| if (b) "true" else "false",
        .integer, .float, .number_string => "a number",
        .string => "a text",
        .array => "a list",
        .object => "an object",
    };
    return wrong(place, "{s}, where " ++ what ++ " is expected", .{is});
}

fn readEnum(comptime T: type, value: Value, place: ?*const Place) error{Refused}!T {
    if (value != .string) return mismatch(value, "a text", place);
    return std.meta.stringToEnum(T, value.string) orelse {
        const known = comptime names(std.meta.fieldNames(T));
        return wrong(place, "\"{s}\" is none of " ++ known, .{value.string});
    };
}

fn readList(comptime T: type, value: Value, place: ?*const Place) error{Refused}![]const T {
    if (value != .array) return mismatch(value, "a list", place);
    const list = memory.ok(memory.lasting.alloc(T, value.array.items.len));
    for (list, value.array.items, 0..) |*item, of, index| {
        item.* = try read(T, of, &.{ .outer = place, .step = .{ .index = index } });
    }
    return list;
}

/// A `tamis.Map`: an object with any keys.
fn readMap(comptime T: type, value: Value, place: ?*const Place) error{Refused}!T {
    if (value != .object) return mismatch(value, "an object", place);
    var made: T = .{};
    var members = value.object.iterator();
    while (members.next()) |member| {
        const at: Place = .{ .outer = place, .step = .{ .key = member.key_ptr.* } };
        const Item = @FieldType(@TypeOf(made.map).KV, "value");
        memory.ok(made.map.put(memory.lasting, member.key_ptr.*, try read(Item, member.value_ptr.*, &at)));
    }
    return made;
}

fn readStruct(comptime T: type, value: Value, place: ?*const Place) error{Refused}!T {
    if (value != .object) return mismatch(value, "an object", place);
    const fields = comptime std.meta.fieldNames(T);
    var members = value.object.iterator();
    while (members.next()) |member| {
        const key = member.key_ptr.*;
        const known = comptime names(fields);
        for (fields) |field| {
            if (std.mem.eql(u8, field, key)) break;
        } else return wrong(&.{ .outer = place, .step = .{ .key = key } }, "unknown key; known are: " ++ known, .{});
    }
    var made: T = undefined;
    const of = @typeInfo(T).@"struct";
    inline for (of.field_names, of.field_types, of.field_attrs) |name, Field, attributes| {
        const at: Place = .{ .outer = place, .step = .{ .key = name } };
        if (value.object.get(name)) |member| {
            @field(made, name) = try read(Field, member, &at);
        } else if (attributes.defaultValue(Field)) |default| {
            @field(made, name) = default;
        } else if (@typeInfo(Field) == .optional) {
            @field(made, name) = null;
        } else return wrong(&at, "missing", .{});
    }
    return made;
}

fn names(comptime all: anytype) []const u8 {
    comptime var text: []const u8 = "";
    inline for (all, 0..) |name, i| text = text ++ (if (i == 0) "" else ", ") ++ name;
    return if (text.len == 0) "none" else text;
}

test "errors name the key" {
    const Rule = struct { rate: f64, mode: enum { fast, slow } = .fast, limit: ?u8 = null };
    const Config = struct {
        rules: []const Rule = &.{},
        projects: std.json.ArrayHashMap(Rule) = .{},
        note: []const u8 = "",
        strict: bool = false,
    };
    const cases = [_]struct { []const u8, []const u8 }{
        .{ "[1]", "a list, where an object is expected" },
        .{ "{", "no JSON: UnexpectedEndOfInput" },
        .{ "{} x", "no JSON: SyntaxError" },
        .{ "{\"note\":5}", "note: a number, where a text is expected" },
        .{ "{\"nota\":5}", "nota: unknown key; known are: rules, projects, note, strict" },
        .{ "{\"rules\":{}}", "rules: an object, where a list is expected" },
        .{ "{\"rules\":[{\"rate\":1},{}]}", "rules[1].rate: missing" },
        .{ "{\"rules\":[{\"rate\":\"x\"}]}", "rules[0].rate: a text, where a number is expected" },
        .{ "{\"rules\":[{\"rate\":1,\"mode\":\"fats\"}]}", "rules[0].mode: \"fats\" is none of fast, slow" },
        .{ "{\"rules\":[{\"rate\":1,\"limit\":300}]}", "rules[0].limit: 300 is not from 0 to 255" },
        .{ "{\"projects\":{\"42\":{\"rat\":1}}}", "projects.42.rat: unknown key; known are: rate, mode, limit" },
        .{ "{\"strict\":1}", "strict: a number, where true or false is expected" },
    };
    for (cases) |case| {
        try std.testing.expectError(error.Refused, parse(Config, case[0]));
        try std.testing.expectEqualStrings(case[1], refusal);
    }
    for ([_][]const u8{ "", " ", "null", "{}" }) |empty| try std.testing.expectEqual(0, (try parse(Config, empty)).rules.len);
    const parsed = try parse(Config,
        \\{"projects": {"42": {"rate": 0.5, "mode": "slow", "limit": null}}, "rules": [{"rate": 1, "limit": 7}], "note": "a\"b"}
    );
    try std.testing.expectEqualDeep(Rule{ .rate = 0.5, .mode = .slow }, parsed.projects.map.get("42").?);
    try std.testing.expectEqualDeep(Rule{ .rate = 1, .limit = 7 }, parsed.rules[0]);
    try std.testing.expectEqualStrings("a\"b", parsed.note);
}
