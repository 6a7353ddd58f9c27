//! The tenant: users, clients, audiences and refresh token families. Pure; the time is an argument.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use super::family::{Family, FamilyId, Grant};
use super::mfa::factor::Factor;
use super::policy::{self, Granted};
use super::registry::{Audience, Client, User};
use super::settings::Settings;

pub use self::exchange::{RefreshRefused, Refreshed};

mod exchange;

/// Scopes of the vendor's API for a user's own factors.
const MFA_SCOPES: [&str; 3] = ["enroll", "read:authenticators", "remove:authenticators"];

/// The state of the tenant.
#[derive(Debug)]
pub struct Tenant {
    /// How it behaves.
    pub settings: Settings,
    users: BTreeMap<String, User>,
    /// Names of users by subject.
    subjects: BTreeMap<String, String>,
    deleted_subjects: BTreeSet<String>,
    clients: BTreeMap<String, Client>,
    audiences: BTreeMap<String, Audience>,
    families: HashMap<FamilyId, Family>,
    /// Living families by user and client, oldest first.
    active: HashMap<(String, String), VecDeque<FamilyId>>,
    last_family: FamilyId,
}

impl Tenant {
    /// Returns a tenant without families.
    #[must_use]
    pub fn new(
        settings: Settings,
        users: Vec<User>,
        clients: Vec<Client>,
        audiences: Vec<Audience>,
    ) -> Self {
        let named = |audience: Audience| (audience.identifier.clone(), audience);
        let mut tenant = Self {
            settings,
            users: BTreeMap::new(),
            subjects: BTreeMap::new(),
            deleted_subjects: BTreeSet::new(),
            clients: BTreeMap::new(),
            audiences: audiences.into_iter().map(named).collect(),
            families: HashMap::new(),
            active: HashMap::new(),
            last_family: 0,
        };
        users.into_iter().for_each(|user| tenant.put_user(user));
        clients.into_iter().for_each(|client| tenant.put_client(client));
        tenant
    }

    /// Adds or replaces a user.
    pub fn put_user(&mut self, user: User) {
        self.deleted_subjects.remove(&user.subject());
        self.subjects.insert(user.subject(), user.name.clone());
        self.users.insert(user.name.clone(), user);
    }

    /// Deletes a user; refresh tokens of theirs are refused from here on.
    pub fn delete_user(&mut self, name: &str) -> bool {
        let Some(user) = self.users.remove(name) else {
            return false;
        };
        self.subjects.remove(&user.subject());
        self.deleted_subjects.insert(user.subject())
    }

    /// Adds or replaces a client.
    pub fn put_client(&mut self, client: Client) {
        self.clients.insert(client.client_id.clone(), client);
    }

    /// Returns the users by name.
    pub fn users(&self) -> impl Iterator<Item = &User> {
        self.users.values()
    }

    /// Returns a user by name.
    #[must_use]
    pub fn user(&self, name: &str) -> Option<&User> {
        self.users.get(name)
    }

    /// Returns a user by subject.
    #[must_use]
    pub fn subject(&self, subject: &str) -> Option<&User> {
        self.users.get(self.subjects.get(subject)?)
    }

    /// Returns a user by subject, to be changed.
    pub fn subject_mut(&mut self, subject: &str) -> Option<&mut User> {
        self.users.get_mut(self.subjects.get(subject)?)
    }

    /// Returns the authenticators of a user; none for one who is not registered.
    #[must_use]
    pub fn factors(&self, subject: &str) -> &[Factor] {
        self.subject(subject).map_or(&[], |user| &user.factors)
    }

    /// Returns a client.
    #[must_use]
    pub fn client(&self, client_id: &str) -> Option<&Client> {
        self.clients.get(client_id)
    }

    /// Returns what a login or a client's own request for an audience is granted, or `None` for an
    /// audience the tenant does not have. An absent audience is the provider's own (userinfo).
    #[must_use]
    pub fn granted(&self, audience: Option<&str>, scope: &str, issuer: &str) -> Option<Granted> {
        let filtering = self.settings.scope_filtering;
        let own_api = audience.filter(|name| name.strip_prefix(issuer) == Some("mfa/"));
        if let Some(name) = own_api {
            let scopes = MFA_SCOPES.map(str::to_owned);
            let scope = policy::known_scopes(scope, &scopes, filtering);
            return Some(Granted { audience: name.to_owned(), scope });
        }
        let (audience, own) = match audience {
            Some(name) => (name.to_owned(), self.audiences.get(name)?.scopes.as_slice()),
            None => (format!("{issuer}userinfo"), [].as_slice()),
        };
        Some(Granted { audience, scope: policy::known_scopes(scope, own, filtering) })
    }

    /// Starts a family and returns it with the one that had to go for it.
    pub fn start_family(&mut self, grant: Grant, now_ms: u64) -> (FamilyId, Option<FamilyId>) {
        self.last_family += 1;
        let family = self.last_family;
        let owner = (grant.subject.clone(), grant.client.clone());
        self.families.insert(family, Family::new(Arc::new(grant), now_ms));
        let living = self.active.entry(owner).or_default();
        living.push_back(family);
        let over = living.len() > self.settings.max_active;
        let evicted = if over { living.pop_front() } else { None };
        if let Some(oldest) = evicted {
            self.families.remove(&oldest);
        }
        (family, evicted)
    }

    /// Returns a family, revoked or not.
    #[must_use]
    pub fn family(&self, family: FamilyId) -> Option<&Family> {
        self.families.get(&family)
    }

    /// Revokes a family of a client, and with `revoke_deletes_grant` all of its user and client.
    /// Returns those that had been living.
    pub fn revoke(&mut self, family: FamilyId, client: &str) -> Vec<FamilyId> {
        let Some(found) = self.families.get(&family) else {
            return Vec::new();
        };
        if found.grant.client != client {
            return Vec::new();
        }
        let owner = (found.grant.subject.clone(), client.to_owned());
        if self.settings.revoke_deletes_grant {
            return self.revoke_all(&owner.0, &owner.1);
        }
        self.end(family).into_iter().collect()
    }

    /// Revokes all families of a user and client and returns those that had been living.
    pub fn revoke_all(&mut self, subject: &str, client: &str) -> Vec<FamilyId> {
        let owner = (subject.to_owned(), client.to_owned());
        let living = self.active.get(&owner).cloned().unwrap_or_default();
        living.into_iter().filter_map(|family| self.end(family)).collect()
    }

    /// Returns the provider session of the newest login of a user at a client.
    #[must_use]
    pub fn newest_sid(&self, subject: &str, client: &str) -> Option<String> {
        let living = self.active.get(&(subject.to_owned(), client.to_owned()))?;
        self.families.get(living.back()?).map(|family| family.grant.sid.clone())
    }

    fn end(&mut self, family: FamilyId) -> Option<FamilyId> {
        let found = self.families.get_mut(&family)?;
        let owner = (found.grant.subject.clone(), found.grant.client.clone());
        if let Some(living) = self.active.get_mut(&owner) {
            living.retain(|one| *one != family);
        }
        found.revoke().then_some(family)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const API: &str = "https://api.example.com";

    fn grant(client: &str) -> Grant {
        Grant {
            subject: "auth0|ada".into(),
            client: client.into(),
            audience: API.into(),
            scope: "openid offline_access".into(),
            sid: "sid-1".into(),
            auth_time_ms: 0,
            acr: String::new(),
            nonce: None,
            second: None,
        }
    }

    fn tenant(settings: Settings) -> Tenant {
        let user = User {
            name: "ada".into(),
            password: "sandbox".into(),
            subject: None,
            display_name: None,
            email: None,
            factors: vec![],
        };
        Tenant::new(settings, vec![user], vec![], vec![])
    }

    #[test]
    fn the_201st_family_evicts_the_first() {
        // rotation_server.009
        let mut tenant = tenant(Settings { rotation: false, ..Settings::default() });
        let started: Vec<_> = (0..201).map(|_| tenant.start_family(grant("web"), 0)).collect();
        assert_eq!(started.last(), Some(&(201, Some(1))));
        assert!(started.iter().take(200).all(|(_, evicted)| evicted.is_none()));
        let refresh = |tenant: &mut Tenant, family| {
            tenant.refresh((family, 1), "web", None, None, 1).map(|refreshed| refreshed.next)
        };
        assert_eq!(refresh(&mut tenant, 1), Err(RefreshRefused::Unknown));
        assert_eq!(refresh(&mut tenant, 2), Ok(None));
    }

    #[test]
    fn a_refusal_that_is_no_reuse_spends_nothing() {
        let unknown_audience = super::super::settings::UnknownAudience::Reject;
        let mut tenant = tenant(Settings { unknown_audience, leeway_s: 0, ..Settings::default() });
        let (family, _) = tenant.start_family(grant("web"), 0);
        let mut ask = |client, audience| {
            tenant.refresh((family, 1), client, audience, None, 5).map(|refreshed| refreshed.next)
        };
        assert_eq!(ask("other", None), Err(RefreshRefused::Unknown));
        assert_eq!(ask("web", Some("https://nowhere")), Err(RefreshRefused::Audience));
        assert_eq!(ask("web", None), Ok(Some(2)));
        assert_eq!(ask("web", None), Err(RefreshRefused::Reused));
    }

    #[test]
    fn revoking_one_token_may_end_the_whole_grant() {
        for (revoke_deletes_grant, ended) in [(false, vec![2]), (true, vec![1, 2])] {
            let mut tenant = tenant(Settings { revoke_deletes_grant, ..Settings::default() });
            for client in ["web", "web", "tv"] {
                tenant.start_family(grant(client), 0);
            }
            assert!(tenant.revoke(2, "tv").is_empty(), "another client's token");
            assert_eq!(tenant.revoke(2, "web"), ended);
            assert!(tenant.refresh((3, 1), "tv", None, None, 1).is_ok(), "the other client lives");
        }
    }

    #[test]
    fn a_deleted_user_has_no_refresh() {
        let mut tenant = tenant(Settings::default());
        let (family, _) = tenant.start_family(grant("web"), 0);
        assert!(tenant.delete_user("ada") && !tenant.delete_user("ada"));
        let refused = tenant.refresh((family, 1), "web", None, None, 1).map(|_| ());
        assert_eq!(refused, Err(RefreshRefused::UserGone));
    }
}
