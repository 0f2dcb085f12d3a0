//! The demo's people, sites, partner and source; and the words that introduce them.

use serde_json::{Value, json};

use crate::cli::error::CliError;
use crate::domain::admin::{Admin, PartnerCredentials, SourceCredentials, Wishes};
use crate::domain::new_password::NewPassword;
use crate::domain::passwords::hash_password;
use crate::model::person::Email;
use crate::model::site::Site;
use crate::model::source::Reach;

const EMAIL: &str = "demo@leadgate.test";
const DOMAINS: [&str; 2] = ["www.kailua-homes.test", "www.waikiki-condos.test"];

/// Everything that the demo works with.
pub struct World {
    /// Where the gateway is.
    pub gateway_url: String,
    /// Where the sample is.
    pub sample_url: String,
    /// The sample's registration.
    pub partner: PartnerCredentials,
    /// Who sends leads in.
    pub source: SourceCredentials,
    password: String,
    sites: Vec<Site>,
}

impl World {
    /// Makes one user with two sites (so that there is something to choose), one partner and one source.
    pub async fn create(admin: &Admin, gateway_url: &str, sample_url: &str) -> Result<Self, CliError> {
        let email: Email = EMAIL.parse().expect("an e-mail");
        let password = format!("demo-{}", hex::encode(admin.entropy.bytes::<4>()));
        let hash = hash_password(&NewPassword::parse(&password, &email)?, &*admin.entropy);
        admin.add_user(email.clone(), "Demo Owner".to_owned(), false, hash).await?;
        let mut sites = Vec::new();
        for domain in DOMAINS {
            let domain = domain.parse().expect("a domain");
            sites.push(admin.add_site(domain, None, std::slice::from_ref(&email)).await?);
        }
        let callback = format!("{sample_url}/callback").parse().expect("a redirect URI");
        let slug = "sample".parse().expect("a slug");
        let partner = admin.add_partner(slug, "Sample Partner".to_owned(), vec![callback], Wishes::default()).await?;
        let source = admin.add_source("demo-crm".parse().expect("a user name"), Reach::All).await?;
        let (gateway_url, sample_url) = (gateway_url.to_owned(), sample_url.to_owned());
        Ok(Self { gateway_url, sample_url, partner, source, password, sites })
    }

    /// What to do, for people.
    pub fn welcome(&self) -> String {
        let Self { gateway_url, sample_url, password, sites, .. } = self;
        let first = &sites[0];
        format!(
            "Leadgate's demo runs: a gateway, and a sample partner application beside it, on throw-away data.\n\n\
             \x20 1. Open {sample_url}/ in a browser and press \"Connect your site\".\n\
             \x20 2. Log in as {EMAIL} with the password {password}\n\
             \x20 3. Choose a site and approve. A few leads follow, and appear on the page as they arrive.\n\n\
             The gateway is at {gateway_url}. This sends another lead, once {} is connected:\n\n{}\n\n\
             Ctrl-C stops everything and removes the data.",
            first.domain,
            self.curl(&first.id.to_string())
        )
    }

    /// The same for programs.
    pub fn document(&self) -> Value {
        let site = |site: &Site| json!({ "uuid": site.id.to_string(), "domain": site.domain.as_str() });
        json!({
            "url": format!("{}/", self.sample_url),
            "gateway_url": self.gateway_url,
            "email": EMAIL,
            "password": self.password,
            "sites": self.sites.iter().map(site).collect::<Vec<_>>(),
            "partner": {
                "slug": self.partner.slug.as_str(),
                "client_id": self.partner.client_id.as_str(),
                "client_secret": self.partner.client_secret.expose(),
            },
            "source": { "username": self.source.username.as_str(), "password": self.source.password.expose() },
        })
    }

    /// A command that sends a lead to a site.
    pub fn curl(&self, site: &str) -> String {
        let (user, password) = (self.source.username.as_str(), self.source.password.expose());
        format!(
            "  curl -u {user}:{password} -H 'Content-Type: application/json' \\\n    \
             -d '{{\"source\": \"curl\", \"first_name\": \"Grace\", \"last_name\": \"Hopper\", \"email\": \"grace@example.com\"}}' \\\n    \
             {}/rest/sites/{site}/leads",
            self.gateway_url
        )
    }
}
