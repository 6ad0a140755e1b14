//! Response codes to REGISTER, and `timeout` where there was none.

use super::{ANY, ASTERISK, Cause, Explanation, GENESYS, KAMAILIO, ORACLE, Topic, when};

const fn response(
    name: &'static str,
    title: &'static str,
    meaning: &'static str,
    causes: &'static [Cause],
    look_at: &'static [(&'static str, &'static str)],
) -> Explanation {
    Explanation { name, topic: Topic::Response, title, meaning, causes, look_at }
}

pub(super) const CODES: &[Explanation] = &[
    response(
        "200",
        "OK: registered",
        "The binding is stored. Its lifetime is the expires parameter of the own Contact, else the Expires header \
         (RFC 3261 §10.2.4), which may be shorter than what was asked.",
        &[
            when("always", "The credentials, if any were asked for, were accepted."),
            when("the own contact is missing", "Another phone replaced the binding, or a middlebox rewrote it."),
            when(
                "the lifetime is much shorter",
                "The server or a session border controller keeps a NAT open this way.",
            ),
        ],
        &[
            (ANY, "Compare the granted lifetime with the one asked: a short one multiplies the load of refreshes."),
            (ASTERISK, "Run `pjsip show contacts`; maximum_expiration and remove_existing of the AOR decide."),
            (KAMAILIO, "Run `kamctl ul show`; max_expires of the registrar module decides."),
            (ORACLE, "nat-interval and registration-interval of the sip-interface shorten what the registrar granted."),
        ],
    ),
    response(
        "302",
        "Moved Temporarily: register elsewhere",
        "The server names another registrar in Contact. Registration clients may follow it (RFC 3261 §8.1.3.4); many do not.",
        &[
            when("on every request", "The accounts live on another node, and this address is only a redirector."),
            when("after it worked before", "A failover or a maintenance sends everybody to the other site."),
        ],
        &[
            (ANY, "Point registrar or outbound_proxy of the trunk at the address in Contact."),
            (
                ORACLE,
                "redirect-action of the sip-interface and of the session-agent decides whether it recurses itself.",
            ),
        ],
    ),
    response(
        "305",
        "Use Proxy: not without the proxy",
        "The request has to come through the proxy that Contact names.",
        &[when("on every request", "The registrar takes requests from its edge proxy only.")],
        &[(ANY, "Set outbound_proxy of the trunk to the proxy that Contact names.")],
    ),
    response(
        "400",
        "Bad Request: not understood",
        "The server could not read the request. The reason phrase or a Warning header mostly says which part.",
        &[
            when(
                "on every request",
                "An extra header, the domain or the contact has a form this server does not take.",
            ),
            when(
                "only to requests with credentials",
                "The server cannot read a parameter of Authorization, such as its algorithm.",
            ),
            when("only over one network path", "A SIP ALG of a router rewrites the message and breaks it."),
        ],
        &[
            (ANY, "Capture at both ends and compare; remove the extra headers of the trunk one by one."),
            (
                KAMAILIO,
                "sanity_check() answers 400 with the failed check in the reason; run at debug=3 to see the parser's error.",
            ),
            (GENESYS, "A 400 of the Platform API is about the configuration sent to it and no SIP response."),
        ],
    ),
    response(
        "401",
        "Unauthorized: a challenge, or a refusal",
        "To a request without credentials it is the normal challenge. To a request with credentials it says that they were \
         not accepted, unless the challenge says stale=true, which only asks for the same with a fresh nonce.",
        &[
            when("before any challenge", "This is the normal first step of a registration and no error."),
            when("after credentials, again and again", "Password, authentication name or realm is wrong."),
            when("after credentials, with stale=true", "The nonce expired or belongs to another node of a cluster."),
            when("after it worked before", "The password was changed, or requests now reach another node."),
            when("for some agents only", "Those accounts differ: password, authentication name, or no account at all."),
        ],
        &[
            (
                ANY,
                "Compare the realm of the challenge with the one the account was made for; an HA1 holds for one realm only.",
            ),
            (
                ASTERISK,
                "Unknown endpoints are challenged too. The log tells `No matching endpoint found` from `Failed to authenticate`.",
            ),
            (
                KAMAILIO,
                "The usual configuration challenges again on a wrong password, never 403; print the return code of auth_check().",
            ),
            (
                GENESYS,
                "Digest authentication of the external trunk: realm, user name and password must be the carrier's.",
            ),
            (
                ORACLE,
                "Registrar and border controller may both challenge; see which realm the failing challenge names.",
            ),
        ],
    ),
    response(
        "403",
        "Forbidden: understood and refused",
        "The server understood the request and will not serve it; the request should not be repeated (RFC 3261 §21.4.4). \
         What it means depends on what came before it.",
        &[
            when(
                "before any challenge",
                "The source address is not on the allow-list, an ACL denies it, or it is banned.",
            ),
            when(
                "after credentials",
                "Wrong password or realm, a disabled account, or an account not allowed on this trunk.",
            ),
            when(
                "after it worked before",
                "A ban, a drifted allow-list, an account disabled, or a limit that is now reached.",
            ),
            when(
                "from the N-th registration on",
                "A limit on concurrent registrations or on contacts of one address of record.",
            ),
            when("at a rate", "A rate limit that answers 403; most answer 503 or nothing."),
            when("for everybody after a burst", "A ban of the source address by an intrusion guard."),
        ],
        &[
            (ANY, "Ask for the server's log line of one Call-ID: it knows which rule refused."),
            (ASTERISK, "acl and contact_acl, then max_contacts: `Registration attempt … will exceed max contacts`."),
            (
                KAMAILIO,
                "Look for sl_send_reply(\"403\" in the script: its reason phrase names the rule; then permissions and pike.",
            ),
            (
                GENESYS,
                "SIP Access Control of the trunk: the address as the cloud sees it must be allowed, behind NAT the public one.",
            ),
            (ORACLE, "max-contacts-per-aor answers 403 by default; `show acl denied` lists demoted endpoints."),
        ],
    ),
    response(
        "404",
        "Not Found: no such user here",
        "The server is sure that the user does not exist in the domain of the Request-URI.",
        &[
            when(
                "before any challenge",
                "The domain or the user is unknown; servers that hide users would challenge first.",
            ),
            when("after credentials", "The account may authenticate, but there is no address of record of this name."),
            when("for some agents only", "These agents were not provisioned, or their names are spelt otherwise."),
        ],
        &[
            (ANY, "Compare the user and the domain with the provisioning, letter case and leading zeros included."),
            (
                ASTERISK,
                "`AOR '…' not found for endpoint`: aors of the endpoint must name an AOR that is called like the user part.",
            ),
            (KAMAILIO, "Domain table and use_domain of auth_db and usrloc: the user may exist in another domain."),
        ],
    ),
    response(
        "405",
        "Method Not Allowed: no REGISTER here",
        "The server takes other methods, which Allow lists, but not REGISTER at this address.",
        &[
            when("on every request", "This is a proxy or a trunk interface without a registrar, or the wrong port."),
            when("while OPTIONS succeeds", "The path is fine; the trunk is meant to work without registration."),
        ],
        &[
            (
                ANY,
                "Check port and address of the registrar; ask whether the trunk is IP-authenticated and needs no registration.",
            ),
            (KAMAILIO, "The script must reach save() for REGISTER; is_method(\"REGISTER\") comes before the routing."),
        ],
    ),
    response(
        "407",
        "Proxy Authentication Required: a proxy asks",
        "A proxy on the way wants credentials of its own, in Proxy-Authorization. Everything said of 401 holds here.",
        &[
            when("before any challenge", "This is the normal challenge of a proxy and no error."),
            when("after credentials, again and again", "The proxy's realm or account is not the registrar's."),
        ],
        &[
            (ANY, "See which realm the proxy names; an account of the registrar's realm proves nothing there."),
            (KAMAILIO, "proxy_challenge() instead of www_challenge() for REGISTER is mostly a mistake of the script."),
        ],
    ),
    response(
        "408",
        "Request Timeout: a server behind gave no answer",
        "A server on the way answered, but waited in vain for another one: the next hop, or a database.",
        &[
            when("on every request", "The registrar behind the proxy or border controller is down or unreachable."),
            when("at a rate", "The database or the AAA server behind the registrar is too slow for this load."),
            when("for some agents only", "The part of the accounts on one node, or one database, does not answer."),
        ],
        &[
            (ANY, "Look one hop further: this server is alive, the one behind it is not."),
            (KAMAILIO, "failure_route with t_branch_timeout(): the backend named in $du gave no answer."),
            (ORACLE, "`show sipd agents`: the session-agent of the registrar is out of service or slow."),
        ],
    ),
    response(
        "420",
        "Bad Extension: a required option is unknown",
        "The request requires an option, in Require or Proxy-Require, that the server lists in Unsupported.",
        &[when("on every request", "An extra header Require or Proxy-Require of the trunk asks for too much.")],
        &[
            (ANY, "Remove the option that Unsupported lists from the headers of the trunk."),
            (KAMAILIO, "Strict path mode answers 420 to a Path header without `Supported: path`."),
        ],
    ),
    response(
        "421",
        "Extension Required: an option is missing",
        "The server insists on an option, named in Require, that the request did not offer in Supported.",
        &[when("on every request", "The server demands Path, GRUU or outbound (RFC 5626) of its clients.")],
        &[(ANY, "Add the option that Require names as a Supported header of the trunk, if the test may claim it.")],
    ),
    response(
        "423",
        "Interval Too Brief: asked for too short a lifetime",
        "The lifetime asked is below the least the server grants, which Min-Expires names. One repetition with that value \
         must succeed (RFC 3261 §10.2.8).",
        &[
            when(
                "once per attempt",
                "expires of the trunk is below the server's minimum: legal, but each time two requests more.",
            ),
            when(
                "again after Min-Expires was asked",
                "The server's minimum and its Min-Expires disagree, or two servers do.",
            ),
        ],
        &[
            (ANY, "Set expires of the trunk to at least the Min-Expires of the answer."),
            (ASTERISK, "minimum_expiration raises the lifetime without a 423, so another server on the way sent it."),
            (KAMAILIO, "min_expires of the registrar module; OpenSIPS has the same parameter."),
            (
                ORACLE,
                "The real registrar behind the border controller decides; it is asked registration-interval, not yours.",
            ),
        ],
    ),
    response(
        "429",
        "Provide Referrer Identity, used as Too Many Requests",
        "RFC 3892 defines it for REFER. Servers with a web background send it to REGISTER for what HTTP calls too many requests.",
        &[
            when("at a rate", "A rate limit per source address, account or tenant."),
            when(
                "on retries",
                "Agents that retry at once make it worse; Retry-After, if present, says how long to wait.",
            ),
        ],
        &[(ANY, "Spread arrivals and honour Retry-After; `regstorm limits` finds the rate that is still served.")],
    ),
    response(
        "439",
        "First Hop Lacks Outbound Support",
        "The registrar wants RFC 5626 flows, but the first hop did not add the ob parameter to its Path.",
        &[when("on every request", "A proxy or border controller without outbound support stands in between.")],
        &[(ANY, "Leave reg-id and outbound out of the request, or enable outbound on the edge proxy.")],
    ),
    response(
        "480",
        "Temporarily Unavailable",
        "To a REGISTER it mostly comes from an edge that has no registrar at hand at the moment.",
        &[
            when("on every request", "The trunk or the tenant is not in service."),
            when("after it worked before", "The edge lost its registrar; it returns by itself or after failover."),
        ],
        &[
            (ANY, "Look at the operational state of the trunk and of the nodes behind the edge."),
            (GENESYS, "Trunk State must be In-Service; compare the times with the trunk's status history."),
            (ORACLE, "No session-agent in service for the local-policy route answers 480 or 503."),
        ],
    ),
    response(
        "481",
        "Call/Transaction Does Not Exist",
        "Meant for requests within dialogs. To a REGISTER it says that the server took it for part of one, or lost its state.",
        &[
            when(
                "on every request",
                "An element on the way treats REGISTER as in-dialog, for instance because of a To tag.",
            ),
            when(
                "after a restart of the server",
                "The server lost its state and answers retransmissions of old transactions.",
            ),
        ],
        &[(ANY, "Check that the To header carries no tag and that no middlebox rewrites Call-ID or tags.")],
    ),
    response(
        "482",
        "Loop Detected",
        "The request came back to an element it had passed before.",
        &[when(
            "on every request",
            "Registrar, proxy and domain point at each other; mostly a name that resolves to the proxy itself.",
        )],
        &[
            (ANY, "Follow the Via headers of the request as it arrives: one address stands there twice."),
            (
                KAMAILIO,
                "The domain is missing from `alias` or the domain table, so the server sends REGISTER on, to itself.",
            ),
        ],
    ),
    response(
        "483",
        "Too Many Hops",
        "Max-Forwards ran out on the way: a routing loop, as with 482, or a very long path.",
        &[when("on every request", "Two elements send the request to each other.")],
        &[(ANY, "Look at outbound_proxy and at what the domain resolves to on every hop.")],
    ),
    response(
        "488",
        "Not Acceptable Here",
        "Meant for session descriptions. To a REGISTER it says that a policy for this trunk does not take it.",
        &[when("on every request", "A transport or security policy, such as TLS only, or a profile made for calls.")],
        &[(ANY, "Read the Warning header; compare transport and port with what the trunk was made for.")],
    ),
    response(
        "500",
        "Server Internal Error",
        "The server failed on this request.",
        &[
            when("on every request", "A configuration the server cannot carry out, or its database is away."),
            when("at a rate", "Overload: out of workers, database connections, memory."),
            when(
                "for some agents only",
                "Their records are broken, or CSeq went backwards for a Call-ID the server knows.",
            ),
        ],
        &[
            (ANY, "The server's own log at this second; a Retry-After says when it expects to be better."),
            (ASTERISK, "An AOR the endpoint cannot use, or a sorcery backend that does not answer."),
            (KAMAILIO, "`I'm terribly sorry, server error occurred`: an error of save() or of the database."),
        ],
    ),
    response(
        "501",
        "Not Implemented",
        "The server does not know the method at all.",
        &[when("on every request", "This is no registrar; the address or port belongs to something else.")],
        &[(ANY, "Check address and port of the registrar.")],
    ),
    response(
        "502",
        "Bad Gateway",
        "A server on the way got an answer it could not use from the one behind it.",
        &[when("on every request", "The node behind answers something else than SIP, or breaks the message.")],
        &[(ANY, "Capture between the proxy and the server behind it.")],
    ),
    response(
        "503",
        "Service Unavailable: overload or maintenance",
        "The server cannot serve requests now. Retry-After says when to come back; a client that returns at once makes an \
         overload worse.",
        &[
            when("on every request", "Maintenance, or no node behind the edge is in service."),
            when("at a rate", "A rate limit or overload protection: the sustained rate is above what is served."),
            when("from the N-th registration on", "A limit on registrations or contacts that answers 503."),
            when(
                "after a restart of the server",
                "A registration storm; it passes if the clients spread their retries.",
            ),
        ],
        &[
            (
                ANY,
                "Hold the rate against the answer: `regstorm limits` tells a limit on rate from one on registrations.",
            ),
            (ASTERISK, "Over TCP and TLS an overloaded server answers 503; over UDP it ignores requests instead."),
            (
                KAMAILIO,
                "`Too many registered contacts` is max_contacts with retry_after; else pipelimit, ratelimit or a backend.",
            ),
            (GENESYS, "Max Registration Rate of a phone trunk bounds REGISTER per time, written like 40/5s."),
            (ORACLE, "Register rate constraints of the session-agent and reg-overload-protect answer 503."),
        ],
    ),
    response(
        "504",
        "Server Time-out",
        "A server on the way waited in vain for another one it needed: DNS, a location server, an AAA server.",
        &[
            when("on every request", "The edge cannot resolve or reach the registrar behind it."),
            when("at a rate", "The system behind is too slow for this load."),
        ],
        &[(ANY, "Look one hop further, at name resolution and at the servers this one asks.")],
    ),
    response(
        "505",
        "Version Not Supported",
        "The server does not take SIP/2.0, or did not see it: mostly a broken message.",
        &[when("on every request", "A middlebox breaks the first line, or the port speaks another protocol.")],
        &[(ANY, "Capture at both ends and compare the first line.")],
    ),
    response(
        "513",
        "Message Too Large",
        "The request is longer than the server takes.",
        &[when("on every request", "Many extra headers, or a long Path or Route, over UDP.")],
        &[(ANY, "Shorten the headers of the trunk, or use TCP for messages above 1300 bytes (RFC 3261 §18.1.1).")],
    ),
    response(
        "600",
        "Busy Everywhere",
        "A refusal by the whole system, meant for calls. To a REGISTER it is a policy in disguise.",
        &[when("on every request", "A rule of the operator that answers 6xx to what it does not want.")],
        &[(ANY, "Ask the operator which rule answers 600; clients must not look for another server after it.")],
    ),
    response(
        "603",
        "Decline",
        "A refusal by policy: the account, the source or the time is not allowed.",
        &[
            when("before any challenge", "A fraud guard or a rule on source addresses or user agents."),
            when("after credentials", "The account is barred, for instance unpaid or suspended."),
        ],
        &[(ANY, "Ask the operator; if only regstorm is refused, try the User-Agent of a real phone in headers.")],
    ),
    response(
        "606",
        "Not Acceptable",
        "Some part of the request is not taken by any server of the system; Warning says which.",
        &[when("on every request", "Transport, address type or contact that policy does not take.")],
        &[(ANY, "Read the Warning header; compare contact and transport with those of a phone that works.")],
    ),
    response(
        "timeout",
        "No final response within Timer F",
        "The request was repeated for 64·T1 = 32 s (RFC 3261 §17.1.2.2) and nothing came back, or only provisional answers.",
        &[
            when(
                "on every request",
                "A firewall, a wrong address or port, or a server that silently drops unknown sources.",
            ),
            when(
                "after it worked before",
                "A ban that drops silently, a NAT binding that expired, or the server is down.",
            ),
            when("at a rate", "Overload without an answer, or packets lost in a full queue."),
            when(
                "only to requests with credentials",
                "The message is now too large for one packet and its fragments are lost.",
            ),
            when("from one source address only", "That address is blocked, or answers to it take another way."),
        ],
        &[
            (ANY, "Capture at both ends: does the request arrive, does an answer leave, does it come back?"),
            (ASTERISK, "When its task processors are overloaded, requests over UDP are ignored until they drain."),
            (
                KAMAILIO,
                "pike with an ipban table drops without an answer; `kamctl rpc htable.dump ipban` lists who is banned.",
            ),
            (GENESYS, "The firewall has to pass the region's public SIP addresses both ways; any of them may answer."),
            (ORACLE, "A demoted endpoint is dropped silently for deny-period; `show acl denied`."),
        ],
    ),
];
