"""What the peer must not forget: lanes, messages, refusals and the ledger, in SQLite with a sync at every commit."""

import sqlite3

from protocol import root

WINDOW = 4096
SCHEMA = """
create table if not exists secret (name text primary key, value blob);
create table if not exists seen (peer text, epoch text, sequence integer, digest blob, disposition blob, primary key (peer, epoch, sequence));
create table if not exists message (id blob primary key, peer text, digest blob, content blob, disposition blob);
create table if not exists ledger (position integer primary key, entry blob);
create table if not exists lane (peer text primary key, epoch integer, next integer);
create table if not exists sent (peer text, sequence integer, id blob, header blob, sealed blob, disposition blob, primary key (peer, sequence));
"""


class Book:
    def __init__(self, path):
        self.db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self.db.executescript("pragma journal_mode=wal; pragma synchronous=full;" + SCHEMA)

    def __enter__(self):
        self.db.execute("begin immediate")
        return self

    def __exit__(self, kind, error, trace):
        self.db.execute("rollback" if kind else "commit")

    def one(self, query, *values):
        return self.db.execute(query, values).fetchone()

    def all(self, query, *values):
        return self.db.execute(query, values).fetchall()

    def run(self, query, *values):
        self.db.execute(query, values)

    def secret(self, name, make):
        """A secret that is made once."""
        with self:
            row = self.one("select value from secret where name = ?", name)
            if row:
                return row[0]
            value = make()
            self.run("insert into secret values (?, ?)", name, value)
            return value

    def high_water(self, peer, epoch):
        """Everything up to here has been seen."""
        query = "select sequence from seen where peer = ? and epoch = ? order by sequence"
        mark = 0
        for (sequence,) in self.all(query, peer, str(epoch)):
            if sequence != mark + 1:
                break
            mark = sequence
        return mark

    def append_ledger(self, entry):
        self.run("insert into ledger (entry) values (?)", entry)

    def head(self):
        """Size and root of the ledger's tree."""
        entries = [entry for (entry,) in self.all("select entry from ledger order by position")]
        return len(entries), root(entries)
