use super::*;
use crate::Event;

struct Nothing;

impl Filter for Nothing {
    type Config = serde::de::IgnoredAny;
    fn init(_: Self::Config) -> Result<Self, String> {
        Ok(Nothing)
    }
    fn filter(&mut self, _: &Event<'_>) -> Verdict {
        Verdict::Keep
    }
}

#[test]
fn no_events() {
    assert_eq!(filter::<Nothing>("", &[] as &[&str]), Ok(vec![]));
}
