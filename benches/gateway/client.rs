//! A general HTTP client, for those whose own cost does not matter.

/// A client of the gateway, with its own connections.
pub fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().expect("a client")
}

/// The body of the answer, which is a success.
pub async fn success(request: reqwest::RequestBuilder) -> bytes::Bytes {
    let answer = request.send().await.expect("an answer");
    assert!(answer.status().is_success(), "{}", answer.status());
    answer.bytes().await.expect("a body")
}
