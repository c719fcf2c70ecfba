#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A gRPC server and a client of it, for tests.

    grpc_peer.py serve ADDRESS:PORT
    grpc_peer.py call ADDRESS:PORT CALLS [NAME=VALUE]...
                                prints a line "METHOD CODE COUNT" for each kind of outcome

Of eight calls, the client makes five to /shop.Cart/Get that succeed, one that is answered NOT_FOUND,
one INTERNAL, and one to a method that streams three answers. Each has the metadata that is given.
"""
import collections
import concurrent.futures
import sys

import grpc

WORKERS = 4


def get(request, context):
    if request == b"missing":
        context.abort(grpc.StatusCode.NOT_FOUND, "no such cart")
    if request == b"broken":
        context.abort(grpc.StatusCode.INTERNAL, "broken")
    return b"cart of " + request


def watch(request, context):
    for i in range(3):
        yield b"%d" % i


def serve(address):
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(max_workers=WORKERS))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("shop.Cart", {
        "Get": grpc.unary_unary_rpc_method_handler(get),
        "Watch": grpc.unary_stream_rpc_method_handler(watch),
    }),))
    if not server.add_insecure_port(address):
        sys.exit("grpc_peer: %s is taken" % address)
    server.start()
    print("ready", flush=True)
    server.wait_for_termination()


def call_many(address, calls, metadata, outcomes):
    channel = grpc.insecure_channel(address,
                                    [("grpc.use_local_subchannel_pool", 1)])
    get_cart = channel.unary_unary("/shop.Cart/Get")
    watch_cart = channel.unary_stream("/shop.Cart/Watch")
    requests = [b"7", b"7", b"missing", b"7", None, b"7", b"broken", b"7"]
    for i in range(calls):
        request = requests[i % 8]
        method, code = "Get", "OK"
        try:
            if request is None:
                method = "Watch"
                assert len(list(watch_cart(b"7", metadata=metadata))) == 3
            else:
                get_cart(request, metadata=metadata)
        except grpc.RpcError as error:
            code = error.code().name
        outcomes[method, code] += 1
    channel.close()


def call(address, calls, metadata):
    counters = [collections.Counter() for _ in range(WORKERS)]
    with concurrent.futures.ThreadPoolExecutor(max_workers=WORKERS) as pool:
        jobs = [pool.submit(call_many, address, calls // WORKERS, metadata, c) for c in counters]
        for job in jobs:
            job.result()
    for (method, code), count in sorted(sum(counters, collections.Counter()).items()):
        print(method, code, count)


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] == "serve":
        serve(sys.argv[2])
    elif len(sys.argv) >= 4 and sys.argv[1] == "call":
        call(sys.argv[2], int(sys.argv[3]), [tuple(pair.split("=", 1)) for pair in sys.argv[4:]])
    else:
        sys.exit(__doc__)
