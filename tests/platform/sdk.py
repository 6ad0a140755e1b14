"""The vendor's own SDK as a client of the mock: what it cannot read, the mock has wrong.

Takes the mock's base URL, client and secret, the trunk's id, and the window of the traces; prints
one JSON object with what it understood.
"""

import datetime
import json
import sys

import PureCloudPlatformClientV2 as sdk
from PureCloudPlatformClientV2.rest import ApiException

host, client, secret, first, last = sys.argv[1:6]
sdk.configuration.host = host
api = sdk.api_client.ApiClient().get_client_credentials_token(client, secret)
edges = sdk.TelephonyProvidersEdgeApi(api)

told = {"trunks": [], "pages": 0}
page = 1
while True:
    listing = edges.get_telephony_providers_edges_trunks(page_number=page, page_size=2)
    told["pages"] += 1
    told["page_count"], told["total"] = listing.page_count, listing.total
    for trunk in listing.entities:
        register = (trunk.registers_status or [None])[0]
        told["trunks"].append({
            "id": trunk.id,
            "state": trunk.state,
            "in_service": trunk.in_service,
            "connected": trunk.connected_status.connected,
            "since_is_a_time": isinstance(trunk.connected_status.connected_state_time, datetime.datetime),
            "proxy": register.proxy_address,
            "register": register.register_state,
            "register_is_a_time": isinstance(register.register_state_time, datetime.datetime),
            "error": register.error_info and register.error_info.text,
            "error_code": register.error_info and register.error_info.details.code,
        })
    if page >= listing.page_count:
        break
    page += 1

window = [datetime.datetime.fromtimestamp(int(s), datetime.timezone.utc) for s in (first, last)]
traces = sdk.TelephonyApi(api).get_telephony_siptraces(*window)
told["traces"] = len(traces.data)
told["methods"] = sorted({trace.method for trace in traces.data})
told["trace_ids"] = sum(1 for trace in traces.data if trace.callid and trace.from_user)

try:
    edges.get_telephony_providers_edges_trunk("no-such-trunk")
except ApiException as error:
    body = json.loads(error.body)
    told["refused"] = {"status": error.status, "code": body.get("code"), "message": body.get("message")}
print(json.dumps(told))
