//! What a sync of a claim or volume wants: writes and what is said after them.

use super::object;
use crate::api::{Propagation, Request};
use crate::controllers::NamespacedName;
use crate::events::Event;
use crate::model::{
    ClaimPhase, Kind, Meta, ObjectKey, PRE_RESIZE_CAPACITY, PersistentVolume, PersistentVolumeClaim, VolumePhase,
};
use crate::store::{Stored, View};

/// What a sync wants.
#[derive(Default)]
pub(super) struct Plan {
    /// One after the other, each when the one before has been granted.
    pub(super) writes: Vec<Request>,
    /// Said when all writes have been granted.
    pub(super) events: Vec<(ObjectKey, Event)>,
    /// Whether the claim is to be looked at again at the next resynchronisation.
    pub(super) unsettled: bool,
}

impl Plan {
    /// An event about a claim, told once the writes have been granted.
    pub(super) fn say(mut self, claim: &PersistentVolumeClaim, event: Event) -> Plan {
        self.events.push((key_of(Kind::PersistentVolumeClaim, &claim.meta), event.about(&claim.meta)));
        self
    }

    /// An event about a volume.
    pub(super) fn say_of_volume(mut self, volume: &PersistentVolume, event: Event) -> Plan {
        self.events.push((key_of(Kind::PersistentVolume, &volume.meta), event.about(&volume.meta)));
        self
    }

    /// The claim is looked at again at the next resynchronisation.
    pub(super) fn unsettled(mut self) -> Plan {
        self.unsettled = true;
        self
    }

    /// A claim's new phase, with what it has of its volume.
    ///
    /// Source: `updateClaimStatus`.
    pub(super) fn claim_phase(
        mut self,
        claim: &PersistentVolumeClaim,
        phase: ClaimPhase,
        of: Option<&PersistentVolume>,
    ) -> Plan {
        let mut changed = claim.clone();
        let status = &mut changed.status;
        match of {
            None => {
                status.access_modes.clear();
                status.capacity = None;
                status.attributes_class = None;
            }
            Some(volume) => {
                status.access_modes.clone_from(&volume.access_modes);
                if status.phase != phase {
                    let before = volume.meta.annotations.get(PRE_RESIZE_CAPACITY).and_then(|text| text.parse().ok());
                    status.capacity = Some(before.unwrap_or(volume.capacity));
                    status.attributes_class.clone_from(&volume.attributes_class);
                }
            }
        }
        status.phase = phase;
        if changed.status != claim.status {
            self.writes.push(Request::UpdateStatus { object: object(changed), expected: None });
        }
        self
    }

    /// A volume's new phase; one that it has already is no write.
    ///
    /// Source: `updateVolumePhase`.
    pub(super) fn volume_phase(mut self, volume: &PersistentVolume, phase: VolumePhase, message: &str) -> Plan {
        if volume.status.phase != phase {
            let mut changed = volume.clone();
            changed.status.phase = phase;
            changed.status.message = message.into();
            self.writes.push(Request::UpdateStatus { object: object(changed), expected: None });
        }
        self
    }

    /// Writes a changed copy over the version that the view shows.
    pub(super) fn update<T: Stored>(mut self, view: View<'_>, changed: T) -> Plan {
        let found = view.find::<T>(&changed.meta().namespace, &changed.meta().name);
        let expected = found.and_then(|(row, _)| view.version_of::<T>(row));
        self.writes.push(Request::Update { object: object(changed), expected });
        self
    }

    /// Asks for the end of a volume.
    pub(super) fn delete_volume(mut self, volume: &PersistentVolume) -> Plan {
        let key = key_of(Kind::PersistentVolume, &volume.meta);
        let propagation = Propagation::Background;
        self.writes.push(Request::Delete { key, uid: Some(volume.meta.uid), grace: None, propagation });
        self
    }
}

fn key_of(kind: Kind, meta: &Meta) -> ObjectKey {
    NamespacedName::of_meta(meta).of(kind)
}
