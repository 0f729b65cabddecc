//! Requests, and what they come to.

use super::*;

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
