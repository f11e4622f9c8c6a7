"""Import of IPVS: ipvsadm's listings and saves."""
