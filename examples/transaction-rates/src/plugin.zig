//! Sampling rates by the name of the transaction. The first glob that matches decides.
//!
//! The name is that of the trace's root (`$trace.transaction`) where the client sent it, so that all transactions and spans of a trace get
//! the same rate and are kept or dropped together; else the event's own.

const std = @import("std");
const tamis = @import("tamis");

const name_bytes_max = 256;

pub const Config = struct {
    rates: []const struct {
        /// With `*` for any number of characters.
        name: []const u8,
        rate: f64,
    },
    /// For names that no glob matches; without it they are all kept.
    otherwise: ?f64 = null,
};

config: Config,

pub fn init(config: Config) !@This() {
    for (config.rates, 0..) |of, i| {
        if (of.name.len < 1 or of.name.len > name_bytes_max) {
            return tamis.refuse("rates[{d}].name: a name has 1 to {d} bytes", .{ i, name_bytes_max });
        }
        if (!isRate(of.rate)) return tamis.refuse("rates[{d}].rate: {d} is not from 0 to 1", .{ i, of.rate });
    }
    if (config.otherwise) |rate| if (!isRate(rate)) return tamis.refuse("otherwise: {d} is not from 0 to 1", .{rate});
    return .{ .config = config };
}

pub fn sample(self: *@This(), event: tamis.Event) tamis.Rate {
    const name = event.text("$trace.transaction") orelse event.text("transaction") orelse "";
    for (self.config.rates) |of| {
        if (matches(of.name, name)) return .by(of.rate, of.name);
    }
    return if (self.config.otherwise) |rate| .by(rate, "otherwise") else .keep;
}

fn isRate(rate: f64) bool {
    return rate >= 0 and rate <= 1;
}

/// Each part between stars is found at the first place there is, which leaves the most for the parts behind it: there is nothing to try
/// again, and the time is bounded by the product of both lengths.
fn matches(glob: []const u8, name: []const u8) bool {
    var parts = std.mem.splitScalar(u8, glob, '*');
    const first = parts.first();
    if (!std.mem.startsWith(u8, name, first)) return false;
    var left = name[first.len..];
    while (parts.next()) |part| {
        if (parts.peek() == null) return std.mem.endsWith(u8, left, part);
        const at = std.mem.find(u8, left, part) orelse return false;
        left = left[at + part.len ..];
    }
    return left.len == 0;
}

test matches {
    const cases = [_]struct { []const u8, []const u8, bool }{
        .{ "/checkout", "/checkout", true },
        .{ "/checkout", "/checkout/", false },
        .{ "/checkout*", "/checkout/pay", true },
        .{ "*/pay", "/checkout/pay", true },
        .{ "*/pay", "/checkout/pay/", false },
        .{ "/*/pay", "/checkout/pay", true },
        .{ "/*/pay", "/pay", false },
        .{ "a*a", "a", false },
        .{ "a*b*c", "a-b-b-c", true },
        .{ "a*b*c", "a-c-b", false },
        .{ "*", "", true },
        .{ "**", "x", true },
        .{ "", "", true },
    };
    for (cases) |case| {
        errdefer std.debug.print("{s} {s}\n", .{ case[0], case[1] });
        try std.testing.expectEqual(case[2], matches(case[0], case[1]));
    }
}

const config_of_tests =
    \\{"rates": [{"name": "/checkout/*", "rate": 1}, {"name": "*health*", "rate": 0}, {"name": "/api/*/search", "rate": 0.25}],
    \\ "otherwise": 0.05}
;

test "the first glob that matches decides" {
    const rates = try tamis.testing.sample(@This(), config_of_tests,
        \\[{"transaction": "/checkout/pay"}, {"transaction": "/checkout/health"}, {"transaction": "/internal/healthz"},
        \\ {"transaction": "/api/v2/search"}, {"transaction": "/"}, {}]
    );
    const want = [_]tamis.Rate{
        .by(1, "/checkout/*"),
        .by(1, "/checkout/*"),
        .by(0, "*health*"),
        .by(0.25, "/api/*/search"),
        .by(0.05, "otherwise"),
        .by(0.05, "otherwise"),
    };
    try std.testing.expectEqualDeep(@as([]const tamis.Rate, &want), rates);
}

test "the root of the trace names it" {
    const rates = try tamis.testing.sample(@This(), config_of_tests,
        \\[{"transaction": "/internal/healthz", "$trace": {"transaction": "/checkout/pay"}}]
    );
    try std.testing.expectEqualDeep(@as([]const tamis.Rate, &.{.by(1, "/checkout/*")}), rates);
}

test "without a rate for the rest it is kept" {
    const rates = try tamis.testing.sample(@This(), "{\"rates\": []}", "{}");
    try std.testing.expectEqualDeep(@as([]const tamis.Rate, &.{.keep}), rates);
}

test "mistakes are named by their path" {
    const cases = [_]struct { []const u8, []const u8 }{
        .{ "{}", "rates: missing" },
        .{ "{\"rates\": [{\"name\": \"a\", \"rate\": 1}, {\"name\": \"a\", \"rate\": 7}]}", "rates[1].rate: 7 is not from 0 to 1" },
        .{ "{\"rates\": [{\"name\": \"\", \"rate\": 1}]}", "rates[0].name: a name has 1 to 256 bytes" },
        .{ "{\"rates\": [{\"name\": \"a\", \"rate\": \"1\"}]}", "rates[0].rate: a text, where a number is expected" },
        .{ "{\"rates\": [], \"otherwise\": -1}", "otherwise: -1 is not from 0 to 1" },
        .{ "{\"rates\": [], \"default\": 1}", "default: unknown key; known are: rates, otherwise" },
    };
    for (cases) |case| try std.testing.expectEqualStrings(case[1], try tamis.testing.refusal(@This(), case[0]));
}
