//! Requests, and what they come to.

mod admission;
mod apply;
mod bodies;
mod dry;
mod pods;
mod refused;
mod scale;
mod services;
mod status;

use serde_json::json;
use wavetank_core::config::Config;
use wavetank_core::id::{ProcId, RequestId};
use wavetank_core::model::{Namespace, Object, ServiceAccount};
use wavetank_core::seam::Input;

use super::*;
use crate::conform::at_once;

/// An API server alone, with the namespace `shop` and its account.
pub(in crate::conform) struct Bed {
    pub(in crate::conform) core: Core,
    asked: u64,
}

impl Bed {
    pub(in crate::conform) fn new() -> Bed {
        let mut bed = Bed { core: Core::new(Config::default()), asked: 0 };
        at_once::answers(&mut bed.core, Input::Started(ProcId::API_SERVER));
        bed.ask(Request::Create(Object::Namespace(Namespace::named("shop").into()))).expect("a new namespace");
        let account = ServiceAccount::default_of("shop");
        bed.ask(Request::Create(Object::ServiceAccount(account.into()))).expect("a new account");
        bed
    }

    pub(in crate::conform) fn ask(&mut self, request: Request) -> Result<(), Status> {
        self.asked += 1;
        let answer = at_once::ask(&mut self.core, RequestId(self.asked), request);
        answer.expect("everything that is asked is answered").map(drop).map_err(|refusal| Status::of(&refusal))
    }

    /// The code and message of the answer; a patch is a merge patch.
    fn send(&mut self, request: &str, body: Value) -> (u16, String) {
        let (method, path) = request.split_once(' ').expect("a method and a path");
        let path = Path::parse(path).expect("a path of objects");
        let content_type = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
        match translate(&self.core, method, &path, content_type, &body) {
            Outcome::Answered(status) => (status.code, status.message),
            Outcome::AnsweredAfter(requests, status) => {
                requests.into_iter().for_each(|request| self.ask(request).expect("an effect of a refused request"));
                (status.code, status.message)
            }
            Outcome::NotCovered(what) => panic!("{request} is not covered: {what}"),
            Outcome::Ask(requests) => {
                let refusal = requests.into_iter().find_map(|request| self.ask(request).err());
                refusal.map_or((200, String::new()), |status| (status.code, status.message))
            }
        }
    }

    /// Sends what must be granted.
    pub(in crate::conform) fn grant(&mut self, request: &str, body: Value) {
        assert_eq!(self.send(request, body), (200, String::new()), "{request}");
    }

    fn pod(&mut self, name: &str, more: Value) {
        self.grant("POST /api/v1/namespaces/shop/pods", pod(name, more));
    }

    fn stored(&self, kind: Kind, name: &str) -> Option<Object> {
        let namespace = if kind.is_namespaced() { "shop" } else { "" };
        self.core.find(&ObjectKey::new(kind, namespace, name))
    }
}

fn pod(name: &str, more: Value) -> Value {
    let mut spec = json!({"containers": [{"name": "till", "image": "till:1"}]});
    for (key, value) in more.as_object().into_iter().flatten() {
        spec[key] = value.clone();
    }
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec})
}

#[test]
fn a_path_comes_apart_into_namespace_kind_name_and_subresource() {
    let path =
        Path::parse("/apis/apps/v1/namespaces/shop/deployments/web/scale?dryRun=All&labelSelector=a+in%20%28b%29")
            .unwrap();
    assert_eq!(
        (&*path.api_version, &*path.namespace, &*path.plural, &*path.name),
        ("apps/v1", "shop", "deployments", "web")
    );
    assert_eq!((&*path.subresource, path.parameter("dryRun").as_deref()), ("scale", Some("All")));
    assert_eq!(path.parameter("labelSelector").as_deref(), Some("a in (b)"));
    let node = Path::parse("/api/v1/nodes/n1").unwrap();
    assert_eq!((&*node.api_version, &*node.namespace, &*node.plural, &*node.name), ("v1", "", "nodes", "n1"));
    let namespace = Path::parse("/api/v1/namespaces/shop").unwrap();
    assert_eq!((&*namespace.namespace, &*namespace.plural, &*namespace.name), ("", "namespaces", "shop"));
    assert_eq!(Path::parse("/healthz"), None);
}
