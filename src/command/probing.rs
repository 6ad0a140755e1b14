//! From a plan to probes: what the run's agents would send, as a request an experiment can change.

use super::assemble::USER_AGENT;
use crate::agent::probe::{AnswerRule, Call, ProbeMethod, ProbeRequest, QopRule, RealmRule};
use crate::agent::{RealmPolicy, TrunkPolicy};
use crate::fleet::host_name;
use crate::plan::{AgentAccount, Plan, TrunkPlan};
use crate::vocab::AgentId;
use std::net::IpAddr;
use std::time::Duration;

/// The REGISTER that this agent's first attempt in a run begins with, answered as its policy says,
/// with `patience` as Timer F.
pub(super) fn register_of(plan: &Plan, agent: AgentId, call: Call, patience: Duration) -> ProbeRequest {
    let identity = plan.identities.get(agent);
    let account = AgentAccount {
        user: identity.user.to_owned(),
        auth_user: identity.auth_user.to_owned(),
        credential: identity.credential.clone(),
        certificate: None,
    };
    request(&plan.trunks[identity.trunk.index()], policy_of(plan, agent), account, call, patience)
}

/// The same with an account of a trunk, answered as the trunk's policy says.
pub(super) fn register_as(trunk: &TrunkPlan, account: &AgentAccount, call: Call, patience: Duration) -> ProbeRequest {
    request(trunk, &trunk.policy, account.clone(), call, patience)
}

fn request(
    trunk: &TrunkPlan,
    policy: &TrunkPolicy,
    account: AgentAccount,
    call: Call,
    patience: Duration,
) -> ProbeRequest {
    ProbeRequest {
        method: ProbeMethod::Register,
        transport: trunk.transport(),
        user: account.user,
        domain: policy.domain.clone(),
        auth_user: account.auth_user,
        credential: account.credential,
        expires_s: policy.expires_s,
        contact_user: None,
        contact_host: trunk.names_hosts().then(|| host_name(super::random())),
        call,
        answer: answer_of(policy),
        route: trunk.outbound_proxy.as_ref().map(|proxy| proxy.route.clone()),
        user_agent: trunk.user_agent.clone().unwrap_or_else(|| USER_AGENT.to_owned()),
        headers: trunk.headers.clone(),
        timers: policy.timers,
        patience,
    }
}

/// The policy of an agent: its trunk's, or that of its mix.
pub(super) fn policy_of(plan: &Plan, agent: AgentId) -> &TrunkPolicy {
    let position = plan.identities.policy(agent);
    match position.checked_sub(plan.trunks.len()) {
        Some(variant) => &plan.variants[variant],
        None => &plan.trunks[position].policy,
    }
}

/// The address an agent sends from, as in a run: `source[n mod length]`; `None` is the kernel's
/// choice.
pub(super) fn source_of(plan: &Plan, agent: AgentId) -> Option<IpAddr> {
    let identity = plan.identities.get(agent);
    let TrunkPlan { source, .. } = &plan.trunks[identity.trunk.index()];
    source.get(identity.number as usize % source.len().max(1)).copied()
}

fn answer_of(policy: &TrunkPolicy) -> AnswerRule {
    let realm = match (policy.realm_policy, &policy.realm) {
        (RealmPolicy::Force, Some(realm)) => RealmRule::Text(realm.clone()),
        _ => RealmRule::Challenged,
    };
    AnswerRule {
        algorithms: policy.algorithms,
        qop: QopRule::Offered,
        header_realm: realm.clone(),
        hash_realm: realm,
        required_realm: policy.realm.clone().filter(|_| policy.realm_policy == RealmPolicy::Require),
    }
}
