#!/usr/bin/env python3
"""Those who read the web, against a site of the test: the crawlers and the reader of feeds."""

import urllib.request

import demo
import services
from site_of_pages import Site

HTML = "text/html; charset=utf-8"
XML = "application/xml"


class WebCrawler(demo.Case):
    def test_it_gets_20_pages_at_a_time_and_prints_them_in_order(self):
        pages = {f"/{i}": ("text/plain", "x" * i) for i in range(200)}
        with Site(pages, delay=0.1) as site:
            said = self.run_demo("webcrawler", *(f"{site.base}/{i}" for i in range(200)))
        lines = said.splitlines()
        self.assertEqual([line.split() for line in lines[:200]],
                         [["200", str(i), "bytes", f"{site.base}/{i}"] for i in range(200)])
        self.assertIn("200 of 200 pages", lines[200])
        self.assertGreater(site.most_at_once, 5)
        self.assertLess(float(lines[200].split()[-2]), 10)  # of 20 s, one after the other

    def test_a_host_that_is_away_is_said_and_the_others_are_read(self):
        away = f"http://127.0.0.1:{services.free_port()}/"
        with Site({"/": ("text/plain", "here")}) as site:
            # By its name, which libcurl looks up on a thread of its own.
            name = f"http://localhost:{site.port}/"
            said = self.run_demo("webcrawler", away, name, site.base + "/none").splitlines()
        self.assertRegex(said[0], f"no answer from {away}: ")
        self.assertEqual(said[1].split(), ["200", "4", "bytes", name])
        self.assertEqual(said[2].split()[0], "404")
        self.assertIn("2 of 3 pages", said[3])

    def test_it_says_how_it_is_used(self):
        status, error = self.refused("webcrawler")
        self.assertEqual(status, 2)
        self.assertIn("usage: ", error)


class RecursiveCrawler(demo.Case):
    def test_it_finds_each_page_of_a_site_once(self):
        # A tree of three levels, in which every page also links up, to itself, and away.
        def page(*links):
            more = ("/", "#top", "http://elsewhere.invalid/", "mailto:nobody@elsewhere.invalid")
            return HTML, "".join(f'<a href="{link}">x</a>\n' for link in links + more)

        pages = {"/": page("a/", "/b/", "missing")}
        for branch in "ab":
            pages[f"/{branch}/"] = page(*(f"{i}.html" for i in range(20)))
            for i in range(20):
                pages[f"/{branch}/{i}.html"] = page("../", f"{(i + 1) % 20}.html#x", "text")
            pages[f"/{branch}/text"] = ("text/plain", '<a href="/not-a-link">')
        with Site(pages, delay=0.1) as site:
            said = self.run_demo("recursive_crawler", site.base, 10)
        self.assertEqual(sorted(site.asked), sorted([*pages, "/missing"]))
        self.assertIn(f"{len(pages) + 1} pages: ", said)
        self.assertGreater(site.most_at_once, 5)
        self.assertLessEqual(site.most_at_once, 10)

    def test_it_says_how_it_is_used(self):
        for arguments in [], ["ftp://127.0.0.1/"], ["http://127.0.0.1/", "0"]:
            status, error = self.refused("recursive_crawler", *arguments)
            self.assertEqual(status, 2)
            self.assertIn("usage: ", error)


RSS = """<?xml version="1.0" encoding="UTF-8"?>
<rss version="2.0"><channel><title>News %d</title><link>http://news.invalid/</link>
<item><title>First &amp; foremost</title></item><item><title><![CDATA[Second]]></title></item>
</channel></rss>"""
ATOM = """<?xml version="1.0" encoding="utf-8"?>
<feed xmlns="http://www.w3.org/2005/Atom"><title>Atoms</title>
<entry><title>Hydrogen</title></entry></feed>"""
RDF = """<?xml version="1.0"?>
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/">
<channel><title>Old news</title></channel><item><title>Once upon a time</title></item></rdf:RDF>"""


class FeedScraper(demo.ServerCase):
    server = "feedscraper"

    def ask(self, server, *urls):
        posted = "\n".join(urls).encode()
        base = f"http://127.0.0.1:{server.port}/"
        with urllib.request.urlopen(base, posted, timeout=demo.PATIENCE) as answer:
            return answer.read().decode()

    def test_it_reads_rss_and_atom(self):
        pages = {"/rss": (XML, RSS % 1), "/atom": (XML, ATOM), "/rdf": (XML, RDF),
                 "/html": (HTML, "<html></html>"), "/broken": (XML, "<rss><channel>")}
        server = self.start_server()
        with Site(pages) as site:
            said = self.ask(server, *(site.base + path for path in [*pages, "/none"]))
        lines = said.splitlines()
        self.assertEqual(lines[:7], [
            "News 1", "  - First & foremost", "  - Second", "Atoms", "  - Hydrogen", "Old news",
            "  - Once upon a time"])
        self.assertIn("/html can't be read: neither RSS nor Atom", lines[7])
        self.assertIn("/broken can't be read: ", lines[8])
        self.assertIn("/none can't be read: status 404", lines[9])

    def test_it_reads_many_feeds_at_a_time(self):
        pages = {f"/{i}": (XML, RSS % i) for i in range(100)}
        server = self.start_server()
        with Site(pages, delay=0.2) as site:
            said = self.ask(server, *(site.base + path for path in pages))
        self.assertEqual([line for line in said.splitlines() if line.startswith("News")],
                         [f"News {i}" for i in range(100)])
        self.assertGreater(site.most_at_once, 10)
        self.assertLessEqual(site.most_at_once, 50)


if __name__ == "__main__":
    demo.main()
