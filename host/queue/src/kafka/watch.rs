//! Asks the brokers every second what they know of the topic: who is silent, and which partitions were added.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use rdkafka::ClientContext;
use rdkafka::client::Client;

use super::common::Common;
use super::consumer::Consumer;
use super::producer::Producer;
use crate::Error;

/// Stops when it is dropped.
pub(super) struct Watch {
    stop: Arc<(Mutex<bool>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

const EVERY: Duration = Duration::from_secs(1);
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(2);

impl Watch {
    pub(super) fn start(
        common: Arc<Common>,
        producer: Option<Arc<Producer>>,
        consumer: Option<Arc<Consumer>>,
    ) -> Result<Watch, Error> {
        let stop = Arc::new((Mutex::new(false), Condvar::new()));
        let stopped = stop.clone();
        let run = move || {
            let (flag, changed) = &*stopped;
            let mut stop = flag.lock();
            while !*stop {
                if changed.wait_for(&mut stop, EVERY).timed_out() {
                    parking_lot::MutexGuard::unlocked(&mut stop, || {
                        match (&producer, &consumer) {
                            (Some(producer), _) => producer.with_client(|client| ask(&common, client)),
                            (None, Some(consumer)) => {
                                consumer.with_client(|client| ask(&common, client));
                            }
                            (None, None) => {}
                        };
                    });
                }
            }
        };
        let thread = thread::Builder::new()
            .name("kafka-watch".into())
            .spawn(run)
            .map_err(|e| Error::Config(format!("thread kafka-watch can not be started: {e}")))?;
        Ok(Watch { stop, thread: Some(thread) })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let (flag, changed) = &*self.stop;
        *flag.lock() = true;
        changed.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn ask<C: ClientContext>(common: &Common, client: &Client<C>) {
    match client.fetch_metadata(Some(common.topic()), ANSWER_WAIT_MAX) {
        Ok(metadata) => {
            if let Some(topic) = metadata.topics().iter().find(|t| t.name() == common.topic()) {
                common.answered(topic);
            }
        }
        Err(e) => tracing::debug!(topic = common.topic(), "nobody answers: {e}"),
    }
}
