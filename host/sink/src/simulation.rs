//! x
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mistake { A }
impl Mistake { pub(crate) fn decide(self, _f: &crate::commit::Facts) -> Option<crate::commit::Decision> { None } }
