//! The ConfigMaps and Secrets that a node's pods use: each is read once and watched until no pod uses it any more.
//!
//! What is known of one stays known while its watch is broken. The watch of a namespace's root certificate is kept as
//! long as the kubelet runs, so that pods that come and go ask for nothing. Source: pkg/kubelet/util/manager (v1.34.1),
//! with `configMapAndSecretChangeDetectionStrategy: Watch`. Absent on purpose: the end of watches that are idle or of
//! immutable objects, which costs and saves nothing here.

use std::sync::Arc;

use crate::api::{Answer, Refusal, Reply};
use crate::id::{Name, RequestId};
use crate::model::{ConfigKind, ConfigMap, Kind, Object, ObjectKey, Pod, ROOT_CERTIFICATE, Secret};
use crate::time::{Span, Time};

/// How long somebody who needs an object waits for the answer to its first reading.
///
/// Source: `objectCache.Get`, pkg/kubelet/util/manager/watch_based_manager.go (v1.34.1).
const PATIENCE: Span = Span::from_secs(1);

/// The objects that are watched.
#[derive(Default)]
pub(super) struct Configs {
    /// By key.
    watched: Vec<Watched>,
}

struct Watched {
    key: ObjectKey,
    users: u32,
    asked: Option<RequestId>,
    asked_at: Time,
    state: State,
}

enum State {
    /// The first reading has not been answered.
    Unknown,
    Absent,
    ConfigMap(Arc<ConfigMap>),
    Secret(Arc<Secret>),
}

/// An object with values.
pub(super) enum Config<'a> {
    ConfigMap(&'a ConfigMap),
    Secret(&'a Secret),
}

/// Why there is no object.
pub(super) enum Lack {
    /// There is none of that name.
    NotFound(String),
    /// It could not be read.
    Unread(String),
}

impl Lack {
    /// The sentence.
    pub(super) fn message(self) -> String {
        match self {
            Lack::NotFound(message) | Lack::Unread(message) => message,
        }
    }
}

impl Config<'_> {
    /// The bytes under a key.
    pub(super) fn value(&self, key: &str) -> Option<Arc<[u8]>> {
        match self {
            Config::ConfigMap(map) => map.value(key),
            Config::Secret(secret) => secret.data.get(key).cloned(),
        }
    }

    /// Whether there is a key.
    pub(super) fn has(&self, key: &str) -> bool {
        match self {
            Config::ConfigMap(map) => map.data.get(key).is_some() || map.binary.contains_key(key),
            Config::Secret(secret) => secret.data.contains_key(key),
        }
    }

    /// The text under a key: what is no text of a ConfigMap makes no variables.
    pub(super) fn text(&self, key: &str) -> Option<Name> {
        match self {
            Config::ConfigMap(map) => map.data.get(key).cloned(),
            Config::Secret(secret) => secret.data.get(key).map(as_text),
        }
    }

    /// All keys that make variables, with their texts.
    pub(super) fn texts(&self) -> Vec<(&Name, Name)> {
        match self {
            Config::ConfigMap(map) => map.data.iter().map(|(key, text)| (key, text.clone())).collect(),
            Config::Secret(secret) => secret.data.iter().map(|(key, bytes)| (key, as_text(bytes))).collect(),
        }
    }

    /// All keys.
    pub(super) fn keys(&self) -> Vec<Name> {
        match self {
            Config::ConfigMap(map) => map.data.iter().map(|(key, _)| key).chain(map.binary.keys()).cloned().collect(),
            Config::Secret(secret) => secret.data.keys().cloned().collect(),
        }
    }
}

fn as_text(bytes: &Arc<[u8]>) -> Name {
    String::from_utf8_lossy(bytes).into()
}

/// The keys of the objects that a pod uses, each once.
pub(super) fn needs(pod: &Pod) -> Vec<ObjectKey> {
    let namespace = &pod.meta.namespace;
    let of = |kind, name: &Name| ObjectKey { kind: kind_of(kind), namespace: namespace.clone(), name: name.clone() };
    let mut keys = Vec::with_capacity(pod.spec.references.len() + pod.spec.image_pull_secrets.len() + 1);
    keys.extend(pod.spec.references.iter().map(|it| of(it.kind, &it.name)));
    keys.extend(pull_secrets(pod).map(|name| of(ConfigKind::Secret, name)));
    if pod.needs_root_certificate() {
        keys.push(ObjectKey { kind: Kind::ConfigMap, namespace: namespace.clone(), name: ROOT_CERTIFICATE });
    }
    keys.sort();
    keys.dedup();
    keys
}

/// The Secrets with which a pod's images are pulled. An entry without a name is passed over.
pub(super) fn pull_secrets(pod: &Pod) -> impl Iterator<Item = &Name> {
    pod.spec.image_pull_secrets.iter().filter(|name| !name.is_empty())
}

pub(super) fn kind_of(kind: ConfigKind) -> Kind {
    match kind {
        ConfigKind::ConfigMap => Kind::ConfigMap,
        ConfigKind::Secret => Kind::Secret,
    }
}

impl Configs {
    fn place(&self, kind: Kind, namespace: &str, name: &str) -> Result<usize, usize> {
        self.watched
            .binary_search_by(|it| (it.key.kind, &*it.key.namespace, &*it.key.name).cmp(&(kind, namespace, name)))
    }

    fn of_key(&mut self, key: &ObjectKey) -> Option<&mut Watched> {
        let place = self.place(key.kind, &key.namespace, &key.name).ok()?;
        Some(&mut self.watched[place])
    }

    /// One more pod uses an object; whether it must be asked for.
    pub(super) fn add_user(&mut self, key: &ObjectKey, now: Time) -> bool {
        match self.place(key.kind, &key.namespace, &key.name) {
            Ok(place) => {
                self.watched[place].users += 1;
                false
            }
            Err(place) => {
                let new = Watched { key: key.clone(), users: 1, asked: None, asked_at: now, state: State::Unknown };
                self.watched.reserve_exact(1);
                self.watched.insert(place, new);
                true
            }
        }
    }

    /// One pod less uses an object; whether its watch has ended with that.
    pub(super) fn remove_user(&mut self, key: &ObjectKey) -> bool {
        let Ok(place) = self.place(key.kind, &key.namespace, &key.name) else { return false };
        let watched = &mut self.watched[place];
        watched.users -= 1;
        let ends = watched.users == 0 && !(key.kind == Kind::ConfigMap && key.name == ROOT_CERTIFICATE);
        if ends {
            self.watched.remove(place);
        }
        ends
    }

    /// An object was asked for under this number.
    pub(super) fn asked(&mut self, key: &ObjectKey, id: RequestId) {
        if let Some(watched) = self.of_key(key) {
            watched.asked = Some(id);
        }
    }

    /// What a request was for; `None` if nobody wants to know any more.
    pub(super) fn key_of(&self, id: RequestId) -> Option<ObjectKey> {
        self.watched.iter().find(|it| it.asked == Some(id)).map(|it| it.key.clone())
    }

    /// All objects that are watched.
    pub(super) fn keys(&self) -> Vec<ObjectKey> {
        self.watched.iter().map(|it| it.key.clone()).collect()
    }

    /// Takes in the answer to a reading.
    pub(super) fn on_answer(&mut self, id: RequestId, answer: Answer) {
        let Some(watched) = self.watched.iter_mut().find(|it| it.asked == Some(id)) else { return };
        watched.asked = None;
        match answer {
            Ok(Reply::Object(object, _)) => watched.take(object),
            Err(Refusal::NotFound(_)) => watched.state = State::Absent,
            _ => {}
        }
    }

    /// An object is new or has changed.
    pub(super) fn on_changed(&mut self, object: Object) {
        if let Some(watched) = self.of_key(&object.key()) {
            watched.take(object);
        }
    }

    /// An object is gone.
    pub(super) fn on_removed(&mut self, key: &ObjectKey) {
        if let Some(watched) = self.of_key(key) {
            watched.state = State::Absent;
        }
    }

    /// Until when a pod waits for objects that have not been read; `None` if it need not.
    pub(super) fn waits_until(&self, needs: &[ObjectKey], now: Time) -> Option<Time> {
        let unread = needs.iter().filter_map(|key| {
            let watched = &self.watched[self.place(key.kind, &key.namespace, &key.name).ok()?];
            matches!(watched.state, State::Unknown).then_some(watched.asked_at + PATIENCE)
        });
        unread.max().filter(|until| *until > now)
    }

    /// An object, or why there is none, in the kubelet's words.
    pub(super) fn get(&self, kind: ConfigKind, namespace: &str, name: &str) -> Result<Config<'_>, Lack> {
        let resource = match kind {
            ConfigKind::ConfigMap => "configmap",
            ConfigKind::Secret => "secret",
        };
        let Ok(place) = self.place(kind_of(kind), namespace, name) else {
            return Err(Lack::Unread(format!("object {namespace:?}/{name:?} not registered")));
        };
        match &self.watched[place].state {
            State::ConfigMap(map) => Ok(Config::ConfigMap(map)),
            State::Secret(secret) => Ok(Config::Secret(secret)),
            State::Absent => Err(Lack::NotFound(format!("{resource} {name:?} not found"))),
            State::Unknown => {
                Err(Lack::Unread(format!("failed to sync {resource} cache: timed out waiting for the condition")))
            }
        }
    }
}

impl Watched {
    fn take(&mut self, object: Object) {
        self.state = match object {
            Object::ConfigMap(map) => State::ConfigMap(map),
            Object::Secret(secret) => State::Secret(secret),
            other => unreachable!("a kubelet does not watch a {}", other.kind().name()),
        };
    }
}
