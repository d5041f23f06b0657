"""Name servers that change while the program runs, in a network namespace: no name of these tests is looked up anywhere else."""
import os
import socket
import time

from harness import BINARY, event, wait_for
from namespace import Names

ADDRESS = "93.184.216.34"
# c-ares would ask 127.0.0.1, which is silent by then
NO_SERVERS = ("# No nameservers known, see NetworkManager(8)\n", "nameserver 127.0.", "nameserver fe80::1%no.such.one\n")


def test_a_machine_that_gets_other_name_servers_delivers_on(make_rig, folder, network):
    names = {f"{word}{i}.example.com": [[ADDRESS]] for word in ("hook", "other") for i in range(3)}
    first, second = Names(network, names), Names(network, names, "127.0.0.2")
    hosts = []

    def on_connection(connection):
        request = connection.recv(65536).decode()
        hosts.append(request.split("Host: ")[1].split("\r\n")[0])
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        connection.close()
    network.listen(socket.AF_INET, ("0.0.0.0", 80), on_connection)
    rig = make_rig(delays="1s,1s,1s,1s,1s,1s,1s,1s")
    for node in rig.kafka.nodes:
        network.forward(node.client_port)
    hook = rig.jobhook(JOBHOOK_EGRESS_ALLOW=None)
    hook.spawn(network.command(folder, "nameserver 127.0.0.1\noptions use-vc\n", BINARY, "run"), hook.environment())
    rig.publish(event("a", "http://hook0.example.com/"))
    wait_for(lambda: hosts == ["hook0.example.com"], 30, "the first name was not found")
    first.silent = True
    resolver = os.path.join(folder, "resolv.conf")
    with open(resolver, "w"):  # it is being written
        rig.publish(event("b", "http://hook1.example.com/"))
        wait_for(lambda: "hook1.example.com" in first.asked, 30, "the second name was not asked for")
    with open(resolver, "w") as file:
        file.write("nameserver 127.0.0.2\n")
    wait_for(lambda: "hook1.example.com" in hosts, 30, "nobody asked the other server")
    assert second.asked == {"hook1.example.com"}
    for number, text in enumerate(NO_SERVERS):
        with open(resolver, "w") as file:
            file.write(text)
        name = f"other{number}.example.com"
        time.sleep(1.1)  # the file is looked at once a second
        rig.publish(event(f"o{number}", f"http://{name}/"))
        wait_for(lambda name=name: name in hosts, 30, f"{text!r} was taken for the name of a server")
    os.unlink(resolver)
    rig.publish(event("c", "http://hook2.example.com/"))
    wait_for(lambda: "hook2.example.com" in hosts, 30, "the other server was forgotten with the file")
    assert hosts == ["hook0.example.com", "hook1.example.com", *(f"other{i}.example.com" for i in range(len(NO_SERVERS))), "hook2.example.com"]
    assert hook.log().count("name servers read again") == 1
    assert hook.stop(40) == 0
