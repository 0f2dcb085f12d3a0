//! The stylesheet and the icon: compiled in, and kept by browsers for good, since a changed file has another name.

use std::sync::LazyLock;

use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use sha2::{Digest, Sha256};

use crate::http::App;

/// A file that pages load.
pub(super) struct Asset {
    path: String,
    content_type: &'static str,
    text: &'static str,
}

/// How everything looks.
pub(super) static STYLESHEET: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("style", "css", "text/css; charset=utf-8", include_str!("../../../assets/style.css")));

/// What a tab shows.
pub(super) static ICON: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("icon", "svg", "image/svg+xml", include_str!("../../../assets/icon.svg")));

/// One route per file.
pub(super) fn routes() -> Router<App> {
    let serve = |asset: &'static Asset| Router::new().route(asset.path(), get(move || async { asset.answer() }));
    serve(&STYLESHEET).merge(serve(&ICON))
}

impl Asset {
    fn new(name: &str, extension: &str, content_type: &'static str, text: &'static str) -> Self {
        let version = hex::encode(&Sha256::digest(text)[..8]);
        Self { path: format!("/assets/{name}-{version}.{extension}"), content_type, text }
    }

    /// Where it is served.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    fn answer(&self) -> Response {
        let headers = [
            (CONTENT_TYPE, self.content_type),
            (CACHE_CONTROL, "public, max-age=31536000, immutable"),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        ];
        (headers, self.text).into_response()
    }
}
