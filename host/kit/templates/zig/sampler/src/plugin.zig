//! Rates by environment. Configuration: `rates`, an object of numbers from 0 to 1 by environment; what is not in it is kept.

const std = @import("std");
const tamis = @import("tamis");

pub const Config = struct { rates: tamis.Map(f64) };

config: Config,

pub fn init(config: Config) !@This() {
    var rates = config.rates.map.iterator();
    while (rates.next()) |of| {
        const rate = of.value_ptr.*;
        if (rate < 0 or rate > 1) return tamis.refuse("rates.{s}: {d} is not from 0 to 1", .{ of.key_ptr.*, rate });
    }
    return .{ .config = config };
}

pub fn sample(self: *@This(), event: tamis.Event) tamis.Rate {
    const environment = event.text("environment") orelse return .keep;
    const rate = self.config.rates.map.get(environment) orelse return .keep;
    return .by(rate, environment);
}

test "rates are by environment" {
    const rates = try tamis.testing.sample(@This(),
        \\{"rates": {"staging": 0.1}}
    ,
        \\[{"environment": "staging"}, {"environment": "production"}, {}]
    );
    const want = [_]tamis.Rate{ .by(0.1, "staging"), .keep, .keep };
    try std.testing.expectEqualDeep(@as([]const tamis.Rate, &want), rates);
}

test "mistakes are named" {
    try std.testing.expectEqualStrings("rates: missing", try tamis.testing.refusal(@This(), "{}"));
    const wrong = try tamis.testing.refusal(@This(), "{\"rates\": {\"staging\": 7}}");
    try std.testing.expectEqualStrings("rates.staging: 7 is not from 0 to 1", wrong);
}
