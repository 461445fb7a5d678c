//! `quarantine`: what a fail-closed stage could not deal with, with everything that is needed to try again.

use std::str;

use bytes::Bytes;
use host_event::Category;

use crate::columns::{Int, MaybeReal, MaybeText, MaybeTime, Payload, Text, Time};
use crate::schema::table;
use crate::tables::{Origin, SortKey};
use crate::wire::micros_of_millis;

table! {
    /// Items that a fail-closed stage could not deal with, as they were before that stage, with all that is needed to try again. **They may
    /// not be scrubbed**: guard this folder more closely than the others. Each has a row in `outcomes` too.
    ///
    /// `tamis quarantine release` writes an item that gets through another generation into the table of its category, with the
    /// `partition`, `offset` and times that it has here and the generation that released it; a file of `outcomes` beside the first one takes
    /// back the row that counts it as quarantined, and counts it as what it is now. So it counts once in every sum, as what became of
    /// it last. Its row in here stays. What still waits:
    /// `select q.* from quarantine q left join outcomes o on o.quantity = -1 and o.event_id = q.event_id and o.partition = q.partition
    /// and o.offset = q.offset where o.offset is null`.
    struct Quarantine {
        /// The project, as in the DSN.
        project_id: Int,
        /// The item's id.
        event_id: Text,
        /// When Tamis received it.
        timestamp: Time,
        /// Sentry's data category.
        category: Text,
        /// The stage that failed.
        stage: Text,
        /// How it failed: a short key.
        reason: Text,
        /// How it failed, in words, with what the plugin printed; or that the row was rebuilt, and these words were lost.
        detail: MaybeText,
        /// The environment of the DSN key.
        environment: MaybeText,
        /// `name/version` of the SDK.
        sdk: MaybeText,
        /// The address of the client.
        client_ip: MaybeText,
        /// The user agent of the request.
        user_agent: MaybeText,
        /// The envelope's `sent_at`.
        sent_at: MaybeTime,
        /// The envelope's trace header, a JSON object.
        trace: MaybeText,
        /// The generation of the pipeline that decided about it.
        generation: Int,
        /// The partition of the queue it came from.
        partition: Int,
        /// Its offset in that partition.
        offset: Int,
        /// The item as JSON.
        payload: Payload,
        /// The rate of the samplers that it had got past before that stage; 1 where there was none.
        server_sample_rate: MaybeReal,
    }
}

pub(crate) struct QuarantineRow<'a> {
    pub(crate) category: Category,
    pub(crate) stage: &'a str,
    pub(crate) reason: &'a str,
    pub(crate) detail: &'a str,
    pub(crate) payload: Bytes,
}

impl Quarantine {
    pub(crate) fn push(&mut self, origin: Origin<'_>, row: QuarantineRow<'_>) -> SortKey {
        let (project, timestamp) = (origin.project(), origin.received_micros());
        let meta = origin.meta;
        self.project_id.push(project);
        self.event_id.push_id(meta.event_id.0);
        self.timestamp.push(timestamp);
        self.category.push(row.category.as_str());
        self.stage.push(row.stage);
        self.reason.push(row.reason);
        self.detail.push(Some(row.detail));
        self.environment.push(Some(&meta.environment));
        self.sdk.push(Some(&meta.sdk));
        self.client_ip.push(Some(&meta.client_ip));
        self.user_agent.push(Some(&meta.user_agent));
        self.sent_at.push(meta.sent_at.map(micros_of_millis));
        self.trace.push(str::from_utf8(&meta.trace).ok());
        self.generation.push(origin.generation);
        self.partition.push(origin.partition);
        self.offset.push(origin.offset);
        self.payload.push(in_utf8(row.payload));
        self.server_sample_rate.push(Some(origin.server_sample_rate));
        SortKey { project, group: 0, timestamp }
    }
}

/// A payload comes from a parsed document; should one ever be no UTF-8, a text with replacements is better than no row.
fn in_utf8(payload: Bytes) -> Bytes {
    match str::from_utf8(&payload) {
        Ok(_) => payload,
        Err(_) => String::from_utf8_lossy(&payload).into_owned().into(),
    }
}
