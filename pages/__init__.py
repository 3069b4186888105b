"""HTML pages that commands leave behind: one file each, for any browser, without network.

`render.py` fills the templates of ``templates/``; what a page shows is put together in the room that writes it.
"""
