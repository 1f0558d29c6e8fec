#!/usr/bin/env python3
"""The chat: who reads what, names, and people who don't read."""

import demo


class Guest:
    def __init__(self, case, server, name):
        self.peer = server.connect()
        self.lines = self.peer.makefile("rb")
        case.addCleanup(self.peer.close)
        case.addCleanup(self.lines.close)
        self.read()
        self.say(name)

    def say(self, line):
        self.peer.sendall(line.encode() + b"\n")

    def read(self):
        return self.lines.readline().decode().rstrip("\n")


class ChatServer(demo.ServerCase):
    server = "chat_server"

    def room(self, *names):
        """People who have all come, and have heard of each other."""
        server = self.start_server()
        guests = []
        for name in names:
            guests.append(Guest(self, server, name))
            server.wait_for(rf"^\* {name} has come$")
            for other in guests[:-1]:
                self.assertEqual(other.read(), f"* {name} has come")
        return server, guests

    def test_what_one_says_all_the_others_read(self):
        _, (anna, ben, cleo) = self.room("anna", "ben", "cleo")
        anna.say("hello")
        self.assertEqual([ben.read(), cleo.read()], ["anna: hello"] * 2)
        ben.say("hi")
        self.assertEqual([anna.read(), cleo.read()], ["ben: hi"] * 2)
        cleo.say("/quit")
        self.assertEqual([anna.read(), ben.read()], ["* cleo has gone"] * 2)
        self.assertEqual(cleo.read(), "")

    def test_a_name_is_given_out_once(self):
        server, (anna,) = self.room("anna")
        second = Guest(self, server, "anna")
        self.assertEqual(second.read(), "another name?")
        second.say("ben")
        self.assertEqual(anna.read(), "* ben has come")
        second.say("/who")
        self.assertEqual([second.read(), second.read()], ["* anna is here", "* ben is here"])

    def test_who_does_not_read_is_out_and_delays_nobody(self):
        _, (anna, ben, _deaf) = self.room("anna", "ben", "deaf")
        line = "x" * 4000
        anna.peer.settimeout(demo.PATIENCE)
        for _ in range(5000):
            anna.say(line)
            heard = ben.read()
            if heard == "* deaf has gone":
                break
            self.assertEqual(heard, "anna: " + line)
        self.assertEqual(anna.read(), "* deaf has gone")


if __name__ == "__main__":
    demo.main()
