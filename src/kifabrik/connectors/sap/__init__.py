"""SAP's OData services: declared, bounded pulls straight into a sealed dataset version, and results back."""
