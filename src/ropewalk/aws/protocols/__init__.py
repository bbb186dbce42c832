"""AWS's wire protocols, server side, driven by the models: json, query, ec2, rest-json, rest-xml, rpc-v2-cbor."""
