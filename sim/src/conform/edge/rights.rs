//! What is said to somebody who has no right to what a request asks for.
//!
//! Rights themselves are not modelled: whoever asks may do everything, except where a recorded answer tells that its
//! user may not. What the API server says then follows from the request alone, for it asks about rights first: before
//! it reads a body or looks whether there is such an object or such a kind.
//!
//! Source: `NewRequestInfo`, staging/src/k8s.io/apiserver/pkg/endpoints/request/requestinfo.go; `ForbiddenStatusError`,
//! staging/src/k8s.io/apiserver/pkg/endpoints/handlers/responsewriters/errors.go (v1.34.1).

use super::{Path, Status};

/// The user to whom a message denies a right; `None` if it is about something else.
pub fn denied_user(message: &str) -> Option<&str> {
    let (_, told) = message.split_once("forbidden: User \"")?;
    told.split_once("\" cannot ").map(|(user, _)| user)
}

/// What a user without any rights is told, who asks for what is at a location (a path with its query).
pub fn denied(user: &str, method: &str, location: &str) -> Status {
    let path = Path::parse(location).filter(|path| !path.plural.is_empty());
    let Some(path) = path else {
        let place = location.split('?').next().unwrap_or_default();
        let why = format!("User {user:?} cannot {} path {place:?}", method.to_lowercase());
        return Status::new(403, "Forbidden", format!("forbidden: {}", plain(&why)));
    };
    let name = name_asked_for(&path, method);
    let group = path.api_version.split_once('/').map_or("", |(group, _)| group);
    let dotted = |parts: &[&str], by: &str| parts.join(by).trim_end_matches(by).to_owned();
    let resource = dotted(&[&path.plural, &path.subresource], "/");
    let scope = match namespace(&path) {
        "" => "at the cluster scope".to_owned(),
        namespace => format!("in the namespace {namespace:?}"),
    };
    let verb = verb(&path, method);
    let why = format!("User {user:?} cannot {verb} resource {resource:?} in API group {group:?} {scope}");
    let mut of = dotted(&[&path.plural, group], ".");
    if !name.is_empty() {
        of += &format!(" {name:?}");
    }
    Status::new(403, "Forbidden", format!("{of} is forbidden: {}", plain(&why)))
}

/// The verb that rights are about.
fn verb(path: &Path, method: &str) -> &'static str {
    let of_all = path.name.is_empty();
    let watches = path.parameter("watch").is_some_and(|text| !["false", "0"].contains(&text.to_lowercase().as_str()));
    match method {
        "POST" => "create",
        "PUT" => "update",
        "PATCH" => "patch",
        "DELETE" if of_all => "deletecollection",
        "DELETE" => "delete",
        "GET" | "HEAD" if of_all && watches => "watch",
        "GET" | "HEAD" if of_all => "list",
        "GET" | "HEAD" => "get",
        _ => "",
    }
}

/// The name that rights are about: that of the path, or the only one that a list's field selector takes.
fn name_asked_for(path: &Path, method: &str) -> String {
    if !path.name.is_empty() || !["GET", "HEAD"].contains(&method) {
        return path.name.clone();
    }
    let selector = path.parameter("fieldSelector").unwrap_or_default();
    let named = selector.split(',').find_map(|part| part.strip_prefix("metadata.name=")).unwrap_or_default();
    named.trim_start_matches('=').to_owned()
}

/// The namespace that rights are about; that of a Namespace is itself.
fn namespace(path: &Path) -> &str {
    if path.plural == "namespaces" { &path.name } else { &path.namespace }
}

/// A text without what could be taken for HTML.
fn plain(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_denial_tells_who_may_not_do_what_and_where() {
        let shop = "in the namespace \"shop\"";
        let cluster = "at the cluster scope";
        // The request; what is forbidden, the verb, resource and group, and where.
        for (request, of, verb, resource, group, place) in [
            ("GET /api/v1/namespaces/shop/pods?limit=5", "pods", "list", "pods", "", shop),
            ("GET /api/v1/pods?watch=1", "pods", "watch", "pods", "", cluster),
            (
                "GET /api/v1/namespaces/shop/pods?fieldSelector=metadata.name%3Dtill",
                "pods \"till\"",
                "list",
                "pods",
                "",
                shop,
            ),
            (
                "PUT /apis/apps/v1/namespaces/shop/deployments/till/scale",
                "deployments.apps \"till\"",
                "update",
                "deployments/scale",
                "apps",
                shop,
            ),
            ("DELETE /apis/batch/v1/namespaces/shop/jobs", "jobs.batch", "deletecollection", "jobs", "batch", shop),
            ("POST /api/v1/namespaces/shop/pods/till/eviction", "pods \"till\"", "create", "pods/eviction", "", shop),
            ("DELETE /api/v1/namespaces/shop", "namespaces \"shop\"", "delete", "namespaces", "", shop),
            ("PATCH /api/v1/nodes/n1/status", "nodes \"n1\"", "patch", "nodes/status", "", cluster),
        ] {
            let (method, location) = request.split_once(' ').expect("a method and a location");
            let status = denied("eve", method, location);
            let what = format!("cannot {verb} resource {resource:?} in API group {group:?} {place}");
            let told = format!("{of} is forbidden: User \"eve\" {what}");
            assert_eq!((status.code, status.reason, status.message), (403, "Forbidden".to_owned(), told.clone()));
            assert_eq!(denied_user(&told), Some("eve"));
        }
        let status = denied("eve", "GET", "/metrics?verbose");
        assert_eq!(status.message, "forbidden: User \"eve\" cannot get path \"/metrics\"");
        assert_eq!(denied_user("pods \"p\" is forbidden: error looking up service account"), None);
    }
}
