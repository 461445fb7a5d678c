//! Commits one by one, on a thread of their own: librdkafka waits for the answer as long as that takes, and a worker has other
//! partitions to see to. (Its commits that do not wait tell nobody how they ended.)

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use host_event::{Offset, Partition};
use parking_lot::{Mutex, RwLock};
use rdkafka::consumer::{CommitMode, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Offset as Place, TopicPartitionList};

use super::reader::Open;
use crate::{Error, Lease};

pub(super) struct Commits {
    /// None once it is closed.
    requests: Mutex<Option<SyncSender<Commit>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Commit {
    lease: Lease,
    next: Offset,
    note: String,
    answer: SyncSender<Result<(), RDKafkaErrorCode>>,
}

const WAITING_MAX: usize = 256;
/// A commit that is not answered by then may still happen. A later one says more anyway.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(5);

impl Commits {
    pub(super) fn start(client: Arc<RwLock<Option<Open>>>) -> Result<Commits, Error> {
        let (sender, receiver) = sync_channel(WAITING_MAX);
        let thread = thread::Builder::new()
            .name("kafka-commit".into())
            .spawn(move || run(&client, &receiver))
            .map_err(|e| Error::Config(format!("thread kafka-commit can not be started: {e}")))?;
        Ok(Commits { requests: Mutex::new(Some(sender)), thread: Mutex::new(Some(thread)) })
    }

    pub(super) fn commit(&self, lease: &Lease, next: Offset, note: &str) -> Result<(), RDKafkaErrorCode> {
        let requests = self.requests.lock().clone().ok_or(RDKafkaErrorCode::BrokerDestroy)?;
        let (answer, answered) = sync_channel(1);
        let commit = Commit { lease: lease.clone(), next, note: note.to_owned(), answer };
        requests.try_send(commit).map_err(|e| match e {
            TrySendError::Full(_) => RDKafkaErrorCode::QueueFull,
            TrySendError::Disconnected(_) => RDKafkaErrorCode::BrokerDestroy,
        })?;
        answered.recv_timeout(ANSWER_WAIT_MAX).unwrap_or_else(|e| match e {
            RecvTimeoutError::Timeout => Err(RDKafkaErrorCode::OperationTimedOut),
            RecvTimeoutError::Disconnected => Err(RDKafkaErrorCode::BrokerDestroy),
        })
    }

    /// Ends when the commits that were asked for are answered.
    pub(super) fn close(&self) {
        drop(self.requests.lock().take());
        if let Some(thread) = self.thread.lock().take() {
            let _ = thread.join();
        }
    }
}

fn run(client: &RwLock<Option<Open>>, requests: &Receiver<Commit>) {
    for Commit { lease, next, note, answer } in requests {
        let Some(client) = client.read().clone() else { return };
        let group = client.context();
        // One that waited while the partition came back would be taken: the group knows the process, and not which lease it speaks for.
        let result = match lease.is_lost() {
            true => Err(RDKafkaErrorCode::IllegalGeneration),
            false => list(group.common.topic(), lease.partition, next, &note)
                .and_then(|list| client.commit(&list, CommitMode::Sync))
                .map_err(|e| e.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail)),
        };
        if result.is_ok() {
            group.committed_now(&lease, next);
        }
        // Who asked may have waited long enough.
        let _ = answer.try_send(result);
    }
}

fn list(
    topic: &str,
    partition: Partition,
    next: Offset,
    note: &str,
) -> Result<TopicPartitionList, KafkaError> {
    let mut list = TopicPartitionList::with_capacity(1);
    let mut element = list.add_partition(topic, partition as i32);
    element.set_offset(Place::Offset(i64::try_from(next).unwrap_or(i64::MAX)))?;
    element.set_metadata(note);
    Ok(list)
}
