//! What the node lifecycle has under way: each task waits for one answer or for a point in time.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::controllers::node_lifecycle::swap::Swap;
use crate::controllers::node_lifecycle::zones::ZoneKey;
use crate::id::{Name, RequestId, Revision, RowId, Uid};
use crate::model::{Node, Pod, Status3};
use crate::time::Time;

/// One thing under way.
pub(super) enum Task {
    /// A pass handles one node.
    Node(Box<NodeJob>),
    /// A node's NoSchedule taints are brought in line with its conditions.
    NoSchedule(Name, Swap),
    /// A zone's queue taints a node with NoExecute. The time is when it was taken from the queue.
    NoExecute(ZoneKey, Name, Time, Swap),
    /// All nodes are down, so a node's NoExecute taints go.
    Release(Swap),
    /// A pod that was bound to a silent node is marked not ready.
    Pod((Name, Name), Arc<Pod>),
}

/// One node's turn in a pass.
pub(super) struct NodeJob {
    /// The node as of the beginning of the pass, or as read since.
    pub(super) node: Arc<Node>,
    /// The revision of that version.
    pub(super) version: Revision,
    /// The node with its conditions Unknown, if they have to become so.
    pub(super) silent: Option<Arc<Node>>,
    /// The Ready status at the beginning of the turn; a missing one counts as Unknown.
    pub(super) observed: Status3,
    /// The Ready status as it will be after the turn's own write; `None` if there is no Ready condition.
    pub(super) current: Option<Status3>,
    /// How often the write has failed.
    pub(super) tries: u32,
    /// Where the turn is.
    pub(super) stage: Stage,
}

/// Where a node's turn is.
pub(super) enum Stage {
    /// A node that is new to this controller loses what taints an earlier one gave it.
    Unmark(Swap),
    /// The conditions become Unknown.
    Write,
    /// The write has failed: the node is read again.
    Fetch,
    /// A pause before the write is tried again.
    Pause,
    /// NoExecute taints are exchanged or removed.
    Taint(Swap),
    /// The node's pods become not ready, one after the other.
    Pods {
        /// Those that are left.
        left: VecDeque<(RowId, Uid)>,
        /// The one whose write has not been answered.
        asked: Option<Arc<Pod>>,
        /// Whether one of them could not be marked.
        failed: bool,
    },
}

/// All tasks that wait.
#[derive(Default)]
pub(super) struct Tasks {
    asked: BTreeMap<RequestId, Task>,
    asleep: BTreeMap<(Time, u64), Task>,
    naps: u64,
}

impl Tasks {
    /// A task waits for an answer.
    pub(super) fn ask(&mut self, id: RequestId, task: Task) {
        let other = self.asked.insert(id, task);
        assert!(other.is_none(), "two tasks wait for one answer");
    }

    /// A task waits for a point in time.
    pub(super) fn sleep(&mut self, until: Time, task: Task) {
        self.naps += 1;
        self.asleep.insert((until, self.naps), task);
    }

    /// The task that an answer is for; `None` if it was asked for by an earlier life of this process.
    pub(super) fn answered(&mut self, id: RequestId) -> Option<Task> {
        self.asked.remove(&id)
    }

    /// A task whose time has come.
    pub(super) fn wake(&mut self, now: Time) -> Option<Task> {
        let (key, _) = self.asleep.first_key_value().filter(|((at, _), _)| *at <= now)?;
        let key = *key;
        self.asleep.remove(&key)
    }

    /// When the next task's time comes.
    pub(super) fn next_wake(&self) -> Option<Time> {
        self.asleep.first_key_value().map(|((at, _), _)| *at)
    }
}
