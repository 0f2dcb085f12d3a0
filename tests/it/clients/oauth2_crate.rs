//! The `oauth2` crate. It reads no metadata, and refuses to revoke over plain http, also on loopback.

use oauth2::basic::BasicClient;
use oauth2::{
    AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken, HttpRequest, HttpResponse, IntrospectionUrl,
    PkceCodeChallenge, RedirectUrl, Scope, TokenIntrospectionResponse, TokenResponse, TokenUrl,
};

use crate::harness::on_every_engine;
use crate::oauth::door::{CALLBACK, Door};
use crate::oauth::visitor::SentBack;

on_every_engine!(the_oauth2_crate);

async fn the_oauth2_crate() {
    let door = Door::open().await;
    let endpoint = |name: &str| door.gate.url(&format!("/piesync/oauth/{name}/"));
    let http = |request| send(door.gate.http.clone(), request);
    let client = BasicClient::new(ClientId::new(door.partner.partner.client_id.as_str().to_owned()))
        .set_client_secret(ClientSecret::new(door.partner.secret.clone()))
        .set_redirect_uri(RedirectUrl::new(CALLBACK.to_owned()).unwrap())
        .set_auth_uri(AuthUrl::new(endpoint("authorize")).unwrap())
        .set_token_uri(TokenUrl::new(endpoint("token")).unwrap())
        .set_introspection_url(IntrospectionUrl::new(endpoint("introspect")).unwrap());

    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let ask = client.authorize_url(CsrfToken::new_random).set_pkce_challenge(challenge);
    let (ask, state) = ask.add_scope(Scope::new("leadrouter:connect".to_owned())).url();
    let back = SentBack::at(&super::visit(&door, ask.as_str()).await);
    assert_eq!(back.get("state"), Some(state.secret().as_str()));

    let code = AuthorizationCode::new(back.code().to_owned());
    let first = client.exchange_code(code).set_pkce_verifier(verifier).request_async(&http).await.unwrap();
    assert_eq!(first.scopes(), Some(&vec![Scope::new("leadrouter:connect".to_owned())]));
    assert!(door.opens(first.access_token().secret()).await);

    let refresh = first.refresh_token().unwrap();
    let second = client.exchange_refresh_token(refresh).request_async(&http).await.unwrap();
    assert!(door.opens(second.access_token().secret()).await);
    let introspected = client.introspect(second.access_token()).request_async(&http).await.unwrap();
    assert!(introspected.active());
    assert_eq!(introspected.client_id().unwrap().as_str(), door.partner.partner.client_id.as_str());
}

/// How the crate's requests reach the network: with the HTTP client of all tests.
async fn send(http: reqwest::Client, request: HttpRequest) -> Result<HttpResponse, reqwest::Error> {
    let answer = http.execute(request.try_into()?).await?;
    let mut response = HttpResponse::default();
    *response.status_mut() = answer.status();
    *response.headers_mut() = answer.headers().clone();
    *response.body_mut() = answer.bytes().await?.to_vec();
    Ok(response)
}
