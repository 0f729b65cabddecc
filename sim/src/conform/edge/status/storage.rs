//! Volumes, claims and attachments.

use serde_json::Value;
use wavetank_core::id::Name;
use wavetank_core::model::{
    AccessMode, ClaimPhase, Growth, PersistentVolumeClaimStatus, PersistentVolumeStatus, VolumeAttachmentStatus,
    VolumePhase,
};
use wavetank_core::time::Time;

use super::written::Written;

/// When the phase changed the API server says, unless the writer does.
pub(super) fn volume(status: &mut PersistentVolumeStatus, written: &Written<'_>) -> Result<(), String> {
    written.only(&["message", "phase", "reason"])?;
    status.phase = match written.text("phase") {
        "Available" => VolumePhase::Available,
        "Bound" => VolumePhase::Bound,
        "Released" => VolumePhase::Released,
        "Failed" => VolumePhase::Failed,
        "Pending" => VolumePhase::Pending,
        _ => return Err("phase".to_owned()),
    };
    (status.message, status.reason) = (written.name("message"), written.name("reason"));
    Ok(())
}

pub(super) fn claim(status: &mut PersistentVolumeClaimStatus, written: &Written<'_>) -> Result<(), String> {
    written.only(&[
        "accessModes",
        "allocatedResourceStatuses",
        "allocatedResources",
        "capacity",
        "conditions",
        "currentVolumeAttributesClassName",
        "phase",
    ])?;
    status.phase = match written.text("phase") {
        "Pending" => ClaimPhase::Pending,
        "Bound" => ClaimPhase::Bound,
        "Lost" => ClaimPhase::Lost,
        _ => return Err("phase".to_owned()),
    };
    let mode = |mode: &Value| match mode.as_str() {
        Some("ReadWriteOnce") => Ok(AccessMode::ReadWriteOnce),
        Some("ReadOnlyMany") => Ok(AccessMode::ReadOnlyMany),
        Some("ReadWriteMany") => Ok(AccessMode::ReadWriteMany),
        Some("ReadWriteOncePod") => Ok(AccessMode::ReadWriteOncePod),
        _ => Err("accessModes".to_owned()),
    };
    let modes = written.new["accessModes"].as_array();
    status.access_modes = modes.into_iter().flatten().map(mode).collect::<Result<_, String>>()?;
    let mut capacity = written.amounts("capacity")?;
    status.capacity = capacity.remove("storage");
    if let Some((resource, _)) = capacity.first_key_value() {
        return Err(format!("capacity.{resource}"));
    }
    let class = written.name("currentVolumeAttributesClassName");
    status.attributes_class = Some(class).filter(|class: &Name| !class.is_empty());
    let size = written.amounts("allocatedResources")?.remove("storage");
    let growth = match written.new["allocatedResourceStatuses"]["storage"].as_str() {
        None => None,
        Some("ControllerResizeInProgress") => Some(Growth::ControllerResizeInProgress),
        Some("NodeResizePending") => Some(Growth::NodeResizePending),
        Some(_) => return Err("allocatedResourceStatuses".to_owned()),
    };
    status.growth = match (size, growth) {
        (Some(size), Some(growth)) => Some((size, growth)),
        (None, None) => None,
        _ => return Err("allocatedResources".to_owned()),
    };
    written.conditions(&mut status.conditions);
    Ok(())
}

pub(super) fn attachment(status: &mut VolumeAttachmentStatus, written: &Written<'_>) -> Result<(), String> {
    written.only(&["attachError", "attached", "detachError"])?;
    status.attached = written.new["attached"].as_bool().unwrap_or(false);
    let error = |field: &str, stored: &Option<(Time, Name)>| match &written.new[field] {
        Value::Null => None,
        error if *error == written.old[field] => stored.clone(),
        error => Some((
            written.time_of(&error["time"]).unwrap_or(written.now),
            Name::from(error["message"].as_str().unwrap_or_default()),
        )),
    };
    status.attach_error = error("attachError", &status.attach_error);
    status.detach_error = error("detachError", &status.detach_error);
    Ok(())
}
