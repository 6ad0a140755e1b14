//! Findings: what each says about the registrar, the way to it, or the accounts.

use super::{ANY, ASTERISK, Cause, Explanation, GENESYS, KAMAILIO, ORACLE, Topic, when};

const fn found(
    name: &'static str,
    title: &'static str,
    meaning: &'static str,
    causes: &'static [Cause],
    look_at: &'static [(&'static str, &'static str)],
) -> Explanation {
    Explanation { name, topic: Topic::Finding, title, meaning, causes, look_at }
}

pub(super) const FINDINGS: &[Explanation] = &[
    found(
        "limit.concurrent",
        "A limit on concurrent registrations",
        "From a certain number of registered agents on, every further one is refused, whatever the rate; when some leave, \
         as many others get in.",
        &[
            when("at a round number", "A licence or a configured maximum of the trunk, tenant or server."),
            when("at an odd number", "Other clients hold the rest of it; the limit counts them too."),
            when("the number falls over time", "Bindings of earlier runs or dead phones have not expired yet."),
        ],
        &[
            (ANY, "Ask for the maximum of registrations of this trunk; write it into the go-live plan with a reserve."),
            (GENESYS, "Compare the number with the licences and the trunk's limits before the pilot group grows."),
            (ORACLE, "Licensed number of registration cache entries: `show registration` against `show features`."),
            (KAMAILIO, "No global limit by default: look for a counter, usually htable or dialog, in the script."),
        ],
    ),
    found(
        "limit.rate",
        "A limit on the rate of registrations",
        "Above a certain rate requests are refused or dropped, below it all succeed, whatever the number registered.",
        &[
            when("per source address", "A guard sees all agents of this machine as one client."),
            when("for all sources together", "Overload protection of the server or the trunk."),
            when("after a restart of the server", "All clients come back at once; the limit makes the storm longer."),
        ],
        &[
            (ANY, "Find the rate with `regstorm limits`; plan logins of a shift so that they stay below it."),
            (
                KAMAILIO,
                "pike counts requests per address, pipelimit and ratelimit count what the script tells them to.",
            ),
            (GENESYS, "Max Registration Rate of a phone trunk, written like 40/5s."),
            (ORACLE, "Rate constraints for REGISTER of session-agent and sip-interface; reg-overload-protect."),
        ],
    ),
    found(
        "limit.contacts",
        "A limit on the contacts of one address of record",
        "The same user may have only so many bindings; a further one is refused, or replaces the oldest.",
        &[
            when("the user has several phones", "The account is made for one device."),
            when(
                "after a crash or a change of address",
                "Bindings of the same phone from before have not expired yet.",
            ),
            when("users repeat in the list of agents", "Several agents share an address of record by mistake."),
        ],
        &[
            (ANY, "Look up the bindings of one refused user on the server."),
            (
                ASTERISK,
                "max_contacts and remove_existing of the AOR; the log says `will exceed max contacts`. It answers 403.",
            ),
            (KAMAILIO, "max_contacts of the registrar module answers 503 `Too many registered contacts`."),
            (
                ORACLE,
                "max-contacts-per-aor of sip-registrar answers 403 by default; max-contacts-per-aor-mode may overwrite.",
            ),
        ],
    ),
    found(
        "limit.transactions",
        "A limit on simultaneous transactions",
        "Refusals begin when too many requests are open at the same time: they follow the number in flight, and so rate times \
         response time, not the rate itself.",
        &[
            when("when the server gets slower", "Workers of the server are all busy, often waiting for a database."),
            when("per source address", "The provider bounds open registrations of one client."),
        ],
        &[
            (
                ANY,
                "Compare refusals with the number of open attempts; a smaller max_in_flight avoids them at the same rate.",
            ),
            (KAMAILIO, "children: each worker process serves one request at a time, and a slow database holds it."),
            (
                ASTERISK,
                "The pjsip thread pool (threadpool_max_size) and its task processors: `core show taskprocessors`.",
            ),
        ],
    ),
    found(
        "ban",
        "The source has been banned",
        "After a burst or a number of failures everything from this source is refused or dropped, good credentials included, \
         and it stays so for a while.",
        &[
            when("after failed authentications", "An intrusion guard such as fail2ban took the test for an attack."),
            when("after a burst", "A rate guard with a penalty time."),
            when("all other sources are served", "It is the address that is banned, not the accounts."),
        ],
        &[
            (
                ANY,
                "Have the address lifted from the ban and put on the allow-list before testing again; waiting also helps.",
            ),
            (ASTERISK, "fail2ban reads the security log: `fail2ban-client status asterisk`."),
            (KAMAILIO, "`kamctl rpc htable.dump ipban` when the script uses pike and an ipban table."),
            (ORACLE, "`show acl denied`: trust level, invalid-signal-threshold and deny-period of the realm."),
            (
                GENESYS,
                "A registration storm with wrong credentials is best avoided; the cloud's guards are not shown to customers.",
            ),
        ],
    ),
    found(
        "loop.403.after-auth",
        "Agents are refused with 403 after credentials, again and again",
        "The way is open and the server asks for credentials, but refuses what it gets. A 403 must not be repeated \
         (RFC 3261 §21.4.4), yet these agents try again and again.",
        &[
            when(
                "all agents of a trunk",
                "Realm or tenant suffix of the hash differs, or the trunk itself is refused.",
            ),
            when("some agents", "Wrong password, authentication name that is not the user, or a disabled account."),
            when("from the N-th agent on", "A limit that is answered 403: see limit.concurrent and limit.contacts."),
            when("after it worked before", "Passwords were rotated on one side only."),
        ],
        &[
            (
                ANY,
                "`regstorm preflight`: realm offered against expected, algorithm, and one registration of one agent.",
            ),
            (ASTERISK, "forbidden_retry_interval = 0 ends the loop; the cause stays at the other side."),
            (
                GENESYS,
                "Realm, user name and password of the trunk's digest authentication; provisioning that looks equal may differ in blanks.",
            ),
            (
                KAMAILIO,
                "Look for sl_send_reply(\"403\" behind auth_check(): often a check of From against the authentication name.",
            ),
            (
                ORACLE,
                "An authentication profile may answer 403 itself; see which element sent it in `show sipd errors` and logs.",
            ),
        ],
    ),
    found(
        "loop.403.unchallenged",
        "Agents are refused with 403 before any challenge, again and again",
        "The server refuses without asking who it is, so passwords play no part: it decides by source address, domain, \
         trunk state or a ban.",
        &[
            when("all agents of one source address", "The address has drifted off the allow-list, or is banned."),
            when("all sources alike", "The trunk or tenant is not in service, or the domain is not served here."),
            when("in part of the time", "Only some nodes of the cluster have the allow-list entry: see oscillation."),
        ],
        &[
            (
                ANY,
                "Compare the allow-list with the source as the server sees it (received in Via), not with the local address.",
            ),
            (
                GENESYS,
                "SIP Access Control of the trunk, and Use Source Address: the list is matched with source or Via.",
            ),
            (ASTERISK, "acl: `Incoming SIP message from … did not pass ACL test`; identify sections by address."),
            (
                KAMAILIO,
                "permissions module: allow_source_address() and its table; reload with permissions.addressReload.",
            ),
            (ORACLE, "allow-anonymous of the sip-port and the access-control entries of the realm."),
        ],
    ),
    found(
        "loop.401",
        "Agents are challenged again and again",
        "Every set of credentials brings a new 401 without stale=true. The number of ineffective registrations does not \
         show it, because RFC 6076 leaves 401 out.",
        &[
            when("all agents of a trunk", "The realm is not the one the passwords or HA1 belong to."),
            when("some agents", "Wrong password, or the authentication name is not the user name."),
            when("behind a load balancer", "Nonces are valid on the node that gave them only."),
        ],
        &[
            (ANY, "Compute HA1 from the realm as challenged; compare the authentication name with the provisioning."),
            (
                ASTERISK,
                "`Failed to authenticate` against `No matching endpoint found`: unknown users are challenged too.",
            ),
            (
                KAMAILIO,
                "Return code of auth_check(): -2 wrong password, -3 unknown user, -4 and -6 a nonce that is not good.",
            ),
            (ORACLE, "If the border controller challenges as well, its realm needs credentials of its own."),
        ],
    ),
    found(
        "loop.stale-nonce",
        "Every nonce is said to be stale",
        "The server answers stale=true to a nonce it has just given, so nobody gets in though the passwords are right.",
        &[
            when("behind a load balancer", "The nodes do not share the key nonces are made with."),
            when("on one server", "The nonce lifetime is shorter than a round trip, or the clock jumps."),
            when("at a rate", "A table of one-time nonces is too small and overwrites those in use."),
        ],
        &[
            (ANY, "Register through one node alone; if it works, keep a client on one node or share the nonce key."),
            (KAMAILIO, "`secret`, nonce_expire, and nc_array_size with nonce_count of the auth module."),
            (ASTERISK, "nonce_lifetime of the auth section, 32 s by default."),
        ],
    ),
    found(
        "loop.423",
        "Agents are told again and again that the lifetime is too brief",
        "An agent that asks for the Min-Expires it was given is answered 423 once more.",
        &[
            when("always", "The server compares with another minimum than it names."),
            when("in part of the attempts", "Two nodes or two hops have different minimums."),
        ],
        &[
            (ANY, "Set expires of the trunk above the largest Min-Expires seen."),
            (KAMAILIO, "min_expires of the registrar module on every node."),
        ],
    ),
    found(
        "realm.mismatch",
        "The realm is not the one expected",
        "The challenge names another realm than the accounts were made for, or than the one the server verifies with. Hashes \
         never match, however right the password is.",
        &[
            when("a suffix is missing", "A tenant or site suffix is lost between provisioning and challenge."),
            when("it is a host name or an address", "A default realm, because none was configured."),
            when("it differs between answers", "Nodes or hops challenge for different realms."),
            when("passwords are stored as HA1", "The stored hashes belong to the old realm and must be made again."),
        ],
        &[
            (
                ANY,
                "Try realm_policy = \"force\" with the expected realm: if that registers, the server's challenge is wrong.",
            ),
            (ASTERISK, "default_realm in the global section, and realm of the auth section."),
            (KAMAILIO, "First parameter of www_challenge() and auth_check(): often $fd, so the From domain decides."),
            (
                GENESYS,
                "Realm of the trunk's digest authentication must be, letter by letter, the one of the carrier's challenge.",
            ),
            (ORACLE, "auth-realm of the authentication configuration, if the border controller challenges itself."),
        ],
    ),
    found(
        "algorithm.unsupported",
        "No digest algorithm is accepted by both sides",
        "The challenge offers only algorithms that the agents do not accept, so no credentials can be sent.",
        &[
            when("only MD5 is offered", "The agents or the policy of the platform demand SHA-256 (RFC 8760)."),
            when("only SHA-256 is offered", "Old phones know MD5 only; the accounts may be stored as MD5 HA1."),
            when(
                "another scheme than Digest",
                "The server wants Bearer tokens or AKA, which phones of this kind do not have.",
            ),
        ],
        &[
            (
                ANY,
                "`regstorm preflight` lists algorithm and qop of every challenge; compare with algorithms of the trunk.",
            ),
            (ASTERISK, "supported_algorithms_uas, and password_digest with the same algorithm in the auth section."),
            (KAMAILIO, "algorithm of the auth module; stored HA1 must be of the same algorithm."),
            (GENESYS, "A carrier that knows MD5 only, or SHA-256 only, must be matched by the trunk's settings."),
        ],
    ),
    found(
        "oscillation",
        "Refusals come and go with a period",
        "Agents are accepted for a while and refused for a while, again and again at about the same interval, all in phase.",
        &[
            when("the period is the registration lifetime", "Refreshes fall together, and each wave meets a limit."),
            when(
                "a fixed period, like 45 minutes",
                "A job that rewrites the trunk or its allow-list, or a flapping provisioning.",
            ),
            when("a share of requests at any time", "One node of several is configured differently."),
        ],
        &[
            (ANY, "Compare the phase with cron jobs, provisioning runs, certificate or token renewals, and failovers."),
            (
                GENESYS,
                "The trunk's status history, and what changes it: a status that goes between Provisioning and Active is a symptom.",
            ),
            (
                ASTERISK,
                "Reloads by a configuration generator drop or re-read endpoints: look for `Reloading` in the log.",
            ),
        ],
    ),
    found(
        "not-found",
        "Users are not known to the registrar",
        "404 for some or all agents: the user, or the domain, does not exist there.",
        &[
            when("all agents", "The domain of the trunk is not the one the server serves."),
            when("some agents", "These users are not provisioned, or spelt otherwise."),
            when("after it worked before", "Accounts were removed, or a synchronisation of users is incomplete."),
        ],
        &[
            (ANY, "agents.csv lists the users; compare with the provisioning, leading zeros and letter case included."),
            (ASTERISK, "`AOR '…' not found for endpoint`: the AOR must be called like the user part of To."),
            (KAMAILIO, "subscriber and domain tables; use_domain decides whether the domain counts."),
        ],
    ),
    found(
        "refused",
        "Refused with a code that no other finding is about",
        "A final 3xx, 4xx or 6xx other than 401, 403, 404, 407, 408 and 423, that no limit, ban or oscillation explains.",
        &[
            when("a 3xx", "The registrar sends its clients elsewhere; the trunk should name that place."),
            when("400, 420, 421, 488", "A header or an extension of the requests is not to its liking."),
            when("405, 501", "What answers is no registrar: a proxy or a gateway on the wrong port."),
            when("480, 486, 600, 603", "Some platforms answer so to accounts that are switched off."),
        ],
        &[
            (ANY, "`regstorm explain CODE` says what the code means; failures.pcapng holds the exchange."),
            (KAMAILIO, "Look for the reason phrase in the script: sl_send_reply and send_reply."),
        ],
    ),
    found(
        "no-response",
        "No answer at all",
        "Requests of an agent, a source or a trunk bring no final response within Timer F.",
        &[
            when(
                "from the first request on",
                "Wrong address or port, a firewall, or a server that drops unknown sources.",
            ),
            when("after it worked before", "A ban that drops silently, or the server is down."),
            when("above a rate", "Overload; queues are full."),
            when(
                "from one source address only",
                "Routing or filters of that address, or answers that take another way.",
            ),
        ],
        &[
            (ANY, "Capture at both ends: does the request arrive, does an answer leave, does it come back?"),
            (ASTERISK, "Requests over UDP are ignored while task processors are overloaded."),
            (
                KAMAILIO,
                "pike drops without an answer; `kamctl rpc core.tcp_info` and kernel drops of port 5060 (`ss -uamn`).",
            ),
            (GENESYS, "Any of the region's public SIP addresses may answer: the firewall must pass them all."),
            (ORACLE, "`show acl denied`, and `show sipd agents` for the registrar behind."),
        ],
    ),
    found(
        "packet-loss",
        "Packets are lost on the way",
        "Requests need retransmissions though the server answers the others quickly; loss of either direction looks the same.",
        &[
            when("at any rate", "A lossy link, a duplex fault, or a rate policer on the way."),
            when("above a rate", "A full socket buffer at the server, or a policer."),
            when("long messages only", "Fragments are lost: messages above the path's MTU."),
        ],
        &[
            (ANY, "Capture at both ends; kernel counters of dropped datagrams there (`nstat -az UdpRcvbufErrors`)."),
            (KAMAILIO, "A larger socket buffer and more children; a blocked worker lets the kernel queue overflow."),
        ],
    ),
    found(
        "server-error",
        "The server fails",
        "5xx answers. They follow the rate, the number registered, or nothing but time.",
        &[
            when("at a rate", "Overload or a rate limit: see limit.rate."),
            when("from the N-th registration on", "A limit answered 5xx, or memory: see limit.concurrent."),
            when("on every request", "The server, its database or the node behind it is down."),
        ],
        &[
            (ANY, "The server's log at first_seen; Retry-After says when it expects to be better."),
            (KAMAILIO, "Shared memory (`kamctl stats shmem`), database connections, and 503 of max_contacts."),
            (ORACLE, "`show sipd agents` for constraints exceeded, CPU load limits of the system."),
        ],
    ),
    found(
        "refresh.failing",
        "First registrations succeed, refreshes fail",
        "Agents get in, but what should keep them in is refused or unanswered. Everything looks fine until the first lifetime ends.",
        &[
            when(
                "refused with 401 or 403",
                "The nonce is reused with a higher nc, and the server takes that for a replay.",
            ),
            when(
                "no answer",
                "The NAT binding expired before the refresh; keep-alives or a shorter lifetime hold it open.",
            ),
            when(
                "all at the same time",
                "Refreshes fall together and meet a rate limit: an echo of the first arrivals.",
            ),
        ],
        &[
            (ANY, "Try reuse_nonce = false; if that cures it, the server does not count nonces (RFC 7616 §3.4)."),
            (KAMAILIO, "nonce_count and one_time_nonce of the auth module."),
            (
                ASTERISK,
                "nonce_lifetime is 32 s by default: a refresh is challenged again with stale=true, which is normal.",
            ),
        ],
    ),
    found(
        "binding.lost",
        "Bindings vanish before their lifetime ends",
        "The registrar granted a lifetime, but the binding is gone, or its Contact is missing from a later answer.",
        &[
            when("another contact stands there", "A second phone of the user replaced it."),
            when("after a restart of the server", "Bindings are kept in memory only."),
            when("on one node of several", "Location data is not replicated."),
        ],
        &[
            (
                ANY,
                "Ask for the bindings of one user right after it is registered and some minutes later, on each node.",
            ),
            (ASTERISK, "remove_existing, remove_unavailable, and qualify_timeout of the AOR."),
            (
                KAMAILIO,
                "db_mode of usrloc, dmq_usrloc between nodes, and max_contacts with replacement flags of save().",
            ),
        ],
    ),
    found(
        "expires.shortened",
        "The granted lifetime is much shorter than the one asked",
        "Agents must refresh more often than planned. The load on the registrar is multiplied by asked over granted.",
        &[
            when("for all agents", "max_expires of the registrar, or a border controller that keeps NATs open."),
            when("for agents behind NAT only", "The border controller recognises NAT and shortens the lifetime."),
            when("it differs each time", "The server spreads lifetimes on purpose, to break up waves."),
        ],
        &[
            (ANY, "Plan capacity with agents divided by the granted lifetime as the rate of refreshes."),
            (ORACLE, "nat-interval of the sip-interface for endpoints behind NAT, registration-interval for others."),
            (KAMAILIO, "max_expires and expires_range of the registrar module."),
            (ASTERISK, "maximum_expiration of the AOR."),
        ],
    ),
    found(
        "nat.contact-rewritten",
        "The contact was rewritten on the way",
        "The server sees or stores another contact than the agent sent: a NAT or a border controller is in between. \
         Registration works; calls to the agent depend on who wrote the contact.",
        &[
            when(
                "received differs from the sent address",
                "A plain NAT: answers come back, requests need an open binding.",
            ),
            when("the Contact in the 200 is another host", "A border controller or a SIP ALG put itself there."),
        ],
        &[
            (ANY, "Compare Via received and rport with the local address; turn off SIP ALG on routers."),
            (ASTERISK, "rewrite_contact, force_rport and rtp_symmetric of the endpoint."),
            (KAMAILIO, "fix_nated_register() or set_contact_alias(), and nathelper's pings."),
            (ORACLE, "HNT is doing its work: nat-traversal of the sip-interface."),
        ],
    ),
    found(
        "alg.rewritten",
        "A SIP ALG rewrites the messages",
        "Via, Contact or their ports come back changed in a way only a middlebox does. What it changes may be covered by a digest, \
         or be just wrong.",
        &[
            when("private addresses were replaced", "The router's SIP helper is on."),
            when("a digest fails over one path only", "The Request-URI was changed under the digest."),
        ],
        &[
            (ANY, "Turn off SIP ALG or SIP inspection on routers and firewalls, or use TLS, which it cannot read."),
            (ANY, "Test over another path or port: ALGs mostly look at port 5060 only."),
        ],
    ),
    found(
        "tls.certificate",
        "The TLS certificate does not fit",
        "The handshake fails, or would fail for a client that verifies: name, chain, or dates.",
        &[
            when("the name differs", "The certificate is for another name than the registrar's URI."),
            when("the issuer is unknown", "An intermediate certificate is not sent, or a private CA is not trusted."),
            when("after it worked before", "It expired, or was renewed with another chain."),
        ],
        &[
            (
                ANY,
                "`openssl s_client -connect host:5061 -servername host -showcerts`; do not turn verification off as a cure.",
            ),
            (ASTERISK, "cert_file must contain the intermediate certificates as well; ca_list_file for the peer."),
            (KAMAILIO, "certificate and server_name per profile in tls.cfg; reload with `kamcmd tls.reload`."),
            (GENESYS, "TLS trunks need a certificate of a public CA that matches the name in the trunk's server list."),
        ],
    ),
    found(
        "dns",
        "The name does not resolve, or not to one place",
        "The registrar's name has no address, or its addresses differ between look-ups, so agents meet different servers.",
        &[
            when("no address", "A misspelt name, or a resolver without a view of a private zone."),
            when("the addresses change", "DNS is used to spread or move load; some of the targets may refuse."),
            when("only SRV records exist", "The name is a domain, not a host."),
        ],
        &[
            (ANY, "`dig name`, `dig SRV _sip._udp.name`; try the address itself as registrar."),
            (ANY, "regstorm looks up addresses only, no NAPTR or SRV: name the host and port of the SRV target."),
        ],
    ),
    found(
        "drift",
        "The figures drift over the run",
        "Response times, retransmissions or losses grow slowly at constant load. A long run would end in failures.",
        &[
            when("response times grow steadily", "A table without an index, a growing list of contacts, or a leak."),
            when("in steps", "Caches or pools fill up, garbage collection, or another load on the machine."),
        ],
        &[
            (ANY, "Memory and database of the server against latency.csv; does it fall again after a restart?"),
            (KAMAILIO, "`kamctl stats shmem` and the number of contacts in usrloc; timer processes that fall behind."),
        ],
    ),
    found(
        "generator.saturated",
        "The test machine was the bottleneck",
        "regstorm could not keep its own schedule, so the figures say little about the registrar.",
        &[
            when("arrivals are late", "Too few cores, a busy machine, or a container with a CPU quota."),
            when("sockets dropped responses", "Receive buffers are too small, or the worker was not scheduled."),
            when("the ceiling refused", "safety.max_message_rate is below the planned load."),
        ],
        &[
            (
                ANY,
                "`regstorm preflight PROFILE --baseline` shows what this machine can send; stay below it, or use a larger one.",
            ),
            (
                ANY,
                "Raise net.core.rmem_max, pin other load away, and do not run registrar and generator on the same cores.",
            ),
        ],
    ),
];
