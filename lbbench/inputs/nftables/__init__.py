"""Import of nftables rules: kube-proxy's own tables, and iptables-nft's in nft's words."""
