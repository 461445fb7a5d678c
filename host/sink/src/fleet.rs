//! Who fills a prefix of a store from which log. Two fleets by mistake would take each other's chunks for their own.

use serde::{Deserialize, Serialize};

use crate::store::{Put, Store, StoreError, put_create};

/// The processes that share a group of a topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fleet {
    /// The id that the cluster gave itself.
    pub cluster: String,
    pub topic: String,
    pub group: String,
}

/// Where a store says it.
pub fn path(source: &str) -> String {
    format!("control/sources/{source}.json")
}

/// Writes it down if nobody has. Gives the other fleet if it was another.
pub fn claim(store: &dyn Store, source: &str, fleet: &Fleet) -> Result<Option<Fleet>, StoreError> {
    let path = path(source);
    let ours = serde_json::to_vec(fleet).expect("three texts are always JSON");
    match put_create(store, &path, &ours.into())? {
        Put::Created => Ok(None),
        Put::Exists(found) => {
            let other: Fleet = serde_json::from_slice(&found)
                .map_err(|e| StoreError::permanent(&path, format!("it can not be read: {e}")))?;
            Ok(Some(other).filter(|other| other != fleet))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;

    #[test]
    fn the_first_one_has_it() {
        let store = MemoryStore::default();
        let fleet = |group: &str| Fleet { cluster: "c".into(), topic: "t".into(), group: group.into() };
        assert_eq!(claim(&store, "t", &fleet("a")), Ok(None));
        assert_eq!(claim(&store, "t", &fleet("a")), Ok(None));
        assert_eq!(claim(&store, "t", &fleet("b")), Ok(Some(fleet("a"))));
        assert_eq!(claim(&store, "u", &fleet("b")), Ok(None));
    }
}
