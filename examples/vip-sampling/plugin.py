"""Samples events, but never those of customers who must not be sampled."""

from dataclasses import dataclass, field

from tamis_plugin import KEEP, ConfigError, Event, Rate, Sampler


@dataclass
class Vips:
    """Who is never sampled."""

    user_ids: set[str] = field(default_factory=set)
    # Domains of addresses of mail, and what is below them.
    email_domains: set[str] = field(default_factory=set)
    # For each key the values that make a VIP of an event.
    tags: dict[str, set[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.email_domains = {domain.lower() for domain in self.email_domains}
        for domain in self.email_domains:
            if "@" in domain or not domain.strip("."):
                raise ConfigError(f"email_domains: `{domain}` is not a domain")


@dataclass
class Rule:
    """The rate of what it matches: what begins with `transaction`, in these projects. What is not said matches everything."""

    rate: float
    transaction: str = ""
    projects: set[int] = field(default_factory=set)
    name: str = ""

    def __post_init__(self) -> None:
        check(self.rate, "rate")


@dataclass
class Config:
    vips: Vips = field(default_factory=Vips)
    # The first one that matches decides.
    rules: list[Rule] = field(default_factory=list)
    otherwise: float = 1.0

    def __post_init__(self) -> None:
        check(self.otherwise, "otherwise")


def check(rate: float, key: str) -> None:
    if not 0 <= rate <= 1:
        raise ConfigError(f"{key}: {rate} is not from 0 to 1")


class VipSampling(Sampler):
    config: Config

    def init(self) -> None:
        self.vip = Rate(1.0, "vip")
        self.otherwise = Rate(self.config.otherwise, "otherwise")
        # Made once, not for every event.
        self.rates = [(rule, Rate(rule.rate, rule.name or rule.transaction or f"rules[{at}]")) for at, rule in enumerate(self.config.rules)]

    def sample(self, event: Event) -> Rate | None:
        if self.is_vip(event):
            return self.vip
        # The name of the trace's root, so that all of a trace gets one rate.
        transaction = event.text("$trace.transaction") or event.text("transaction") or ""
        for rule, rate in self.rates:
            if transaction.startswith(rule.transaction) and (not rule.projects or event.project_id in rule.projects):
                return rate
        return self.otherwise if self.config.otherwise < 1 else KEEP

    def is_vip(self, event: Event) -> bool:
        vips = self.config.vips
        if vips.user_ids and event.user.id in vips.user_ids:
            return True
        for key, values in vips.tags.items():
            if event.tag(key) in values:
                return True
        return bool(vips.email_domains) and self.is_vip_address(event.user.email or "")

    def is_vip_address(self, address: str) -> bool:
        _, at, domain = address.lower().rpartition("@")
        while at and domain:
            if domain in self.config.vips.email_domains:
                return True
            # From `mail.example.com` to `example.com`.
            _, at, domain = domain.partition(".")
        return False
